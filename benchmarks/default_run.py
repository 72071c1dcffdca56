#!/usr/bin/env python3
"""The default run, and the initial network trained alike, for several seeds.

  benchmarks/default_run.py --seeds 1 2 3 --out FOLDER --rows benchmarks/results/default-run.jsonl

For every seed: `taper run CONFIG` from nothing to done, with its time and its peak memory; then the
same super-network and the same training with a budget of the whole initial network, which the search
meets without shrinking anything. A JSON row per seed, and one with the differences of all.
"""
import statistics
import sys

import whole_runs


def measure(options, seed):
    name, words = f"seed-{seed}", [f"seed={seed}"]
    found = whole_runs.run(options, name, words)
    peak = whole_runs.peak_megabytes()
    initial = whole_runs.run(options, f"{name}-initial",
                             words + ["search.budgets=[{metric: macs, share: 1}]"], name)
    if initial["macs"] != initial["initial_macs"]:
        sys.exit(f"{name}-initial: a budget of everything did not leave the initial network")
    below = 100 * (initial["test_accuracy"] - found["test_accuracy"])
    return {"benchmark": "default run", "config": options.config, "seed": seed,
            "test_accuracy": found["test_accuracy"],
            "initial_test_accuracy": initial["test_accuracy"],
            "points_below_initial": round(below, 3),
            "macs": found["macs"], "initial_macs": found["initial_macs"],
            "parameters": found["parameters"], "seconds": found["seconds"],
            "minutes": round(sum(found["seconds"].values()) / 60, 2), "peak_megabytes": peak}


def main():
    options = whole_runs.parse(__doc__)
    rows = [measure(options, seed) for seed in options.seeds]
    if len(rows) > 1:
        below = [row["points_below_initial"] for row in rows]
        rows.append({"benchmark": "default run, all seeds", "config": options.config,
                     "seeds": options.seeds,
                     "test_accuracy": statistics.mean(row["test_accuracy"] for row in rows),
                     "points_below_initial": {"mean": round(statistics.mean(below), 3),
                                              "deviation": round(statistics.stdev(below), 3)}})
    whole_runs.write(options, rows)


if __name__ == "__main__":
    main()
