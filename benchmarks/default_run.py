#!/usr/bin/env python3
"""The default run, and the initial network trained alike, for several seeds.

  benchmarks/default_run.py --seeds 1 2 3 --out FOLDER --rows benchmarks/results/default-run.jsonl

For every seed: `taper run CONFIG` from nothing to done, with its time and its peak memory (as the
kernel counts it for the finished process); then the same super-network and the same training with a
budget of the whole initial network, which the search meets without shrinking anything. One JSON row
per seed, and one with the differences of all. FOLDER keeps the runs; a finished one is not repeated.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/cpu/taper")
    parser.add_argument("--config", default="configs/fashion-mnist.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--machine", help="what the row calls this machine")
    parser.add_argument("--rows", help="file that the JSON rows are appended to")
    return parser.parse_args()


def run(options, folder, words):
    """What the run says at its end, and the largest peak memory of all children so far in MB."""
    command = [options.program, "run", options.config, "--out", str(folder), *words]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    last = (folder / "log.jsonl").read_text().splitlines()[-1]
    done = json.loads(last)
    if done.get("event") != "done":
        sys.exit(f"{folder}/log.jsonl does not end with a finished run")
    return done, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure(options, seed):
    found_folder = (options.out / f"seed-{seed}").resolve()
    initial_folder = (options.out / f"seed-{seed}-initial").resolve()
    words = ["--set", f"seed={seed}"]
    found, peak = run(options, found_folder, words)
    initial, _ = run(options, initial_folder,
                     words + ["--supernet", str(found_folder / "supernet.safetensors"),
                              "--set", "search.budgets=[{metric: macs, share: 1}]"])
    if initial["macs"] != initial["initial_macs"]:
        sys.exit(f"{initial_folder}: a budget of everything did not leave the initial network")
    return {"benchmark": "default run", "config": options.config, "seed": seed,
            "test_accuracy": found["test_accuracy"],
            "initial_test_accuracy": initial["test_accuracy"],
            "points_below_initial":
                round(100 * (initial["test_accuracy"] - found["test_accuracy"]), 3),
            "macs": found["macs"], "initial_macs": found["initial_macs"],
            "parameters": found["parameters"], "seconds": found["seconds"],
            "minutes": round(sum(found["seconds"].values()) / 60, 2),
            "peak_megabytes": round(peak)}


def commit():
    described = subprocess.run(["git", "describe", "--always", "--dirty=+changes"], cwd=ROOT,
                               capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [measure(options, seed) for seed in options.seeds]
    if len(rows) > 1:
        below = [row["points_below_initial"] for row in rows]
        rows.append({"benchmark": "default run, all seeds", "config": options.config,
                     "seeds": options.seeds,
                     "test_accuracy": statistics.mean(row["test_accuracy"] for row in rows),
                     "points_below_initial": {"mean": round(statistics.mean(below), 3),
                                              "deviation": round(statistics.stdev(below), 3)}})
    for row in rows:
        row.update({"machine": options.machine or f"{os.cpu_count()} cores",
                    "commit": commit(), "command": " ".join(sys.argv)})
        print(json.dumps(row))
        if options.rows:
            with open(options.rows, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
