#!/usr/bin/env python3
"""The ordered-dropout training step on the CPU, ours against PyTorch's with masks, in turns.

  benchmarks/step_against_peer.py --rounds 9 --rows benchmarks/results/cpu.jsonl

Every round runs build/cpu/benchmarks/bench_step and benchmarks/peers/torch_ordered_dropout.py one
after the other, with 1 and with 2 threads; odd rounds start with the peer, so that a machine that
slows down does not favour one side. A round gives the median of its steps; the printed figures are
the median and the quartiles over rounds of images/s and of the ratio within a round. Run it on an
otherwise idle machine: the load before the first round is in the row. Needs a python3 with PyTorch.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Keeps malloc from giving pages back after every step: a factor of 3 to 7 for PyTorch.
PEER_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "4294967296",
                    "MALLOC_TRIM_THRESHOLD_": "8589934592",
                    "MALLOC_TOP_PAD_": "1073741824"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=40, help="of a round")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--groups", type=int, default=8, help="sub-networks in the batch of 64")
    parser.add_argument("--norm", choices=("per_group", "shared"), default="per_group")
    parser.add_argument("--widths", choices=("uniform", "full"), default="uniform",
                        help="full: the plain step; the peer goes without masks")
    parser.add_argument("--program", default="build/cpu/benchmarks/bench_step")
    parser.add_argument("--python", default="/usr/bin/python3", help="one that has PyTorch")
    parser.add_argument("--machine", help="what the row calls this machine")
    parser.add_argument("--rows", help="file that the JSON rows are appended to")
    options = parser.parse_args()
    if options.rounds < 2 or options.steps < 1:
        parser.error("--rounds must be at least 2 and --steps at least 1")
    if not (ROOT / options.program).is_file():
        parser.error(f"{options.program} is not built: cmake --build --preset cpu")
    return options


def commands(options, threads):
    ours = [options.program, "benchmarks/net-s.yaml", str(threads), str(options.groups),
            options.norm, options.widths, str(options.steps)]
    peer = [options.python, "benchmarks/peers/torch_ordered_dropout.py", "--threads",
            str(threads), "--groups", str(options.groups), "--steps", str(options.steps)]
    if options.widths == "full":
        peer.append("--no-mask")
    return {"ours": ours, "peer": peer}


def images_per_second(command, environment):
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment},
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    row = json.loads(done.stdout.splitlines()[0])
    return row["images_per_second"]["median"], row.get("torch")


def spread(values, digits):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, digits), "quartiles": [round(low, digits),
                                                           round(high, digits)]}


def machine():
    model = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores {model}"


def commit():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True,
                              check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+changes" if git("status", "--porcelain",
                                                                      "-uno") else "")


def compare(options, threads):
    pair = commands(options, threads)
    speeds = {"ours": [], "peer": []}
    torch = None
    for turn in range(options.rounds):
        for side in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            speed, version = images_per_second(pair[side],
                                               PEER_ENVIRONMENT if side == "peer" else {})
            speeds[side].append(speed)
            torch = version or torch
        print(f"threads {threads}, round {turn + 1} of {options.rounds}: ours "
              f"{speeds['ours'][-1]}, peer {speeds['peer'][-1]} images/s", file=sys.stderr)
    ratios = [ours / peer for ours, peer in zip(speeds["ours"], speeds["peer"])]
    environment = " ".join(f"{name}={value}" for name, value in PEER_ENVIRONMENT.items())
    return {"what": "training step against PyTorch "
                    + ("with masks" if options.widths == "uniform" else "without masks"),
            "network": "benchmarks/net-s.yaml", "batch": 64, "groups": options.groups,
            "norm": options.norm, "widths": options.widths, "threads": threads,
            "rounds": options.rounds, "steps": options.steps, "torch": torch,
            "ours_images_per_second": spread(speeds["ours"], None),
            "peer_images_per_second": spread(speeds["peer"], None),
            "ratio": spread(ratios, 3),
            "ours": " ".join(pair["ours"]), "peer": environment + " " + " ".join(pair["peer"])}


def main():
    options = parse()
    if os.getloadavg()[0] > 0.5:
        print("warning: this machine is not idle; with 2 threads that makes PyTorch's barriers "
              "several times slower, and the ratio says nothing", file=sys.stderr)
    common = {"machine": options.machine or machine(), "load_before": round(os.getloadavg()[0], 2),
              "commit": commit(), "command": " ".join(sys.argv)}
    for threads in options.threads:
        row = json.dumps({**compare(options, threads), **common})
        print(row, flush=True)
        if options.rows:
            with open(options.rows, "a", encoding="utf-8") as rows:
                rows.write(row + "\n")


if __name__ == "__main__":
    main()
