#!/usr/bin/env python3
"""Is the search worth it? The found network against uniform scaling and against random search.

  benchmarks/search_quality.py --seeds 1 2 3 4 5 --out FOLDER --rows benchmarks/results/search-quality.jsonl

For every seed one super-network; on it multi-layer coordinate descent, random search with as many
scored samples, and uniform scaling (one factor on all widths), at the same budget; each result is
trained alike. Prints a JSON row per seed and one per comparison: the mean of the differences in
points of test accuracy, paired by seed, with its 95 % interval (Student's t).
"""
import math
import statistics

import whole_runs

# 97.5 % quantiles of Student's t by degrees of freedom.
QUANTILE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306,
            9: 2.262}


def scored_samples(folder):
    return sum(1 for sample in whole_runs.samples(folder) if not sample.get("known", False))


def measure(options, seed):
    name, words = f"seed-{seed}", [f"seed={seed}"]
    found = whole_runs.run(options, name, words)
    samples = scored_samples(options.out / name)
    others = {
        "random": ["search.strategy=random", f"search.total_samples={samples}"],
        "uniform_scaling": ["search.strategy=uniform_scaling"]}
    row = {"benchmark": "search quality", "config": options.config, "seed": seed,
           "samples": samples, "multi_layer": found["test_accuracy"],
           "multi_layer_macs": found["macs"]}
    for strategy, settings in others.items():
        done = whole_runs.run(options, f"{name}-{strategy}", words + settings, name)
        row[strategy], row[f"{strategy}_macs"] = done["test_accuracy"], done["macs"]
    return row


def compare(options, rows, other):
    points = [100 * (row["multi_layer"] - row[other]) for row in rows]
    mean, half = statistics.mean(points), math.inf
    if len(points) > 1:
        error = statistics.stdev(points) / math.sqrt(len(points))
        half = QUANTILE.get(len(points) - 1, 2.23) * error
    return {"benchmark": "search quality, all seeds", "config": options.config,
            "seeds": options.seeds, "against": other, "points": round(mean, 3),
            "interval": [round(mean - half, 3), round(mean + half, 3)]}


def main():
    options = whole_runs.parse(__doc__)
    rows = [measure(options, seed) for seed in options.seeds]
    if len(rows) > 1:
        rows += [compare(options, rows, other) for other in ("random", "uniform_scaling")]
    whole_runs.write(options, rows)


if __name__ == "__main__":
    main()
