#!/usr/bin/env python3
"""Bytes that a training step moves through the memory of a card, beside the counted floor.

  python3 benchmarks/device_traffic.py build/cuda

Runs bench_step on MobileNetV3-Large under Nsight Compute (ncu), which counts what DRAM reads and
writes in every kernel, and bench_roofline, which counts every tensor of every operation once. One
JSON row for full widths and one for ordered dropout, with the bytes of every kernel; needs the
right to read a card's counters.
"""
import argparse
import collections
import csv
import json
import re
import shutil
import subprocess
import sys

NETWORK = "benchmarks/mobilenet-v3.yaml"
COUNTERS = ("dram__bytes_read.sum", "dram__bytes_write.sum")
UNITS = {"byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}
BATCH = 128


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def kernels_of(report):
    """(name, bytes) of every kernel in ncu's table, which stands among the program's own output."""
    rows = list(csv.DictReader(line for line in report.splitlines() if line.startswith('"')))
    units = rows.pop(0)
    for row in rows:
        name = re.sub(r"void |<unnamed>::", "", row["Kernel Name"])
        moved = sum(float(row[counter].replace(",", "")) * UNITS[units[counter]]
                    for counter in COUNTERS)
        yield re.sub(r"[<(].*", "", name), moved


def counted_bytes(folder):
    """By widths; of ordered dropout the mean of other draws than the measured ones."""
    rows = output_of([f"{folder}/benchmarks/bench_roofline", f"batch={BATCH}"]).splitlines()
    return {row["widths"]: row["bytes"] + row["weight_bytes"]
            for row in map(json.loads, rows) if row.get("model") == "operations"}


def measure(ncu, folder, floor, groups, widths, steps):
    step = [f"{folder}/benchmarks/bench_step", NETWORK, "1", str(groups), "per_group", widths,
            str(steps), f"batch={BATCH}", f"backend={folder}/libtaper_cuda.so", "cold"]
    # Nothing of the card is changed, and caches stay as the kernel before has left them.
    report = output_of([ncu, "--clock-control", "none", "--cache-control", "none", "--csv",
                        "--page", "raw", "--metrics", ",".join(COUNTERS)] + step)
    moved = collections.Counter()
    for name, count in kernels_of(report):
        moved[name] += count / steps
    total = sum(moved.values())
    print(json.dumps({
        "benchmark": "device traffic", "network": NETWORK, "batch": BATCH, "groups": groups,
        "widths": widths, "bytes": round(total), "floor_bytes": floor,
        "ratio": round(total / floor, 3),
        "kernels": {name: round(count) for name, count in moved.most_common()}}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="folder of the build for CUDA")
    folder = parser.parse_args().build
    ncu = shutil.which("ncu")
    if ncu is None:
        sys.exit("error: this needs ncu, of the CUDA toolkit")
    floors = counted_bytes(folder)
    measure(ncu, folder, floors["full"], 1, "full", 1)
    measure(ncu, folder, floors["uniform"], 16, "uniform", 3)


main()
