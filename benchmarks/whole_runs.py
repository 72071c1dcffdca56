"""Whole runs of taper for the benchmarks that compare them: what they say at their end, and rows."""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse(description, add_arguments=lambda parser: None):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--program", default="build/cpu/taper")
    parser.add_argument("--config", default="configs/fashion-mnist.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=pathlib.Path, required=True,
                        help="keeps the runs; a finished one is not repeated")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE",
                        help="for all runs")
    parser.add_argument("--machine", help="what the row calls this machine")
    parser.add_argument("--rows", help="file that the JSON rows are appended to")
    add_arguments(parser)
    return parser.parse_args()


def taper(options, verb, folder, settings, *words):
    """Runs one command of the program for options.out/folder, which it returns."""
    folder = (options.out / folder).resolve()
    command = [options.program, verb, options.config, "--out", str(folder), *words]
    for setting in [*options.settings, *settings]:
        command += ["--set", setting]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


def done(folder):
    """The last object of a run's log: what was reached."""
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    if last.get("event") != "done":
        sys.exit(f"{folder}/log.jsonl does not end with a finished run")
    return last


def run(options, name, settings, supernet=None):
    """Runs all steps in options.out/name; returns the last object of its log."""
    words = []
    if supernet is not None:
        words = ["--supernet", str((options.out / supernet / "supernet.safetensors").resolve())]
    return done(taper(options, "run", name, settings, *words))


def samples(folder):
    """All objects of search.jsonl."""
    return [json.loads(line) for line in (folder / "search.jsonl").read_text().splitlines()]


def peak_megabytes():
    """The largest peak memory of all runs so far, as the kernel counts it."""
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


def write(options, rows):
    described = subprocess.run(["git", "describe", "--always", "--dirty=+changes"], cwd=ROOT,
                               capture_output=True, text=True, check=False)
    for row in rows:
        row.update({"machine": options.machine or f"{os.cpu_count()} cores",
                    "commit": described.stdout.strip() or "unknown",
                    "command": " ".join(sys.argv)})
        print(json.dumps(row))
        if options.rows:
            with open(options.rows, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
