#!/usr/bin/env python3
"""How far repeated measurements of one network's latency lie apart.

  benchmarks/latency_spread.py --config configs/imagenet-mobilenet-v3.yaml --processes 10

Runs `taper latency CONFIG --json` in so many processes one after the other, and prints a JSON row:
their medians in milliseconds, how far the largest lies above the smallest as a share of their median
(at most 0.03 is wanted), and how many said themselves that they are wide or unsteady.
"""
import argparse
import json
import statistics
import subprocess

import whole_runs


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/cpu/taper")
    parser.add_argument("--config", default="configs/fashion-mnist.yaml")
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--machine", help="what the row calls this machine")
    parser.add_argument("--rows", help="file that the JSON row is appended to")
    return parser.parse_args()


def measure(options):
    command = [options.program, "latency", options.config, "--json", "--device", options.device]
    for setting in options.settings:
        command += ["--set", setting]
    result = subprocess.run(command, cwd=whole_runs.ROOT, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def main():
    options = parse()
    measured = [measure(options) for _ in range(options.processes)]
    latency = [one["latency"] for one in measured]
    median = statistics.median(latency)
    row = {"benchmark": "latency spread", "config": options.config, "milliseconds": latency,
           "median": median, "spread": round((max(latency) - min(latency)) / median, 4),
           "wide": sum(not one["narrow"] for one in measured),
           "unsteady": sum(not one["steady"] for one in measured),
           "batch_images": measured[0]["batch_images"], "threads": measured[0]["threads"],
           "device": measured[0]["device"]}
    whole_runs.write(options, [row])


if __name__ == "__main__":
    main()
