#!/usr/bin/env python3
"""Does the super-network's score rank networks as their own training does?

  benchmarks/rank_correlation.py --out FOLDER --rows benchmarks/results/rank-correlation.jsonl

Random sub-networks of the whole space, and others within 5 % of equal multiplications, are scored
with the super-network's weights, then trained alone from fresh weights, shortly, once per seed.
Prints Kendall's tau-b of score and mean test accuracy with a 95 % interval (bootstrap over
networks); beside it that of the multiplications alone, and of one seed's accuracy with the other's,
which no score can be expected to exceed by much. The same for other ways to score: other numbers of
calibration images, and a super-network with shared batch-norm. A JSON row for each.
"""
import concurrent.futures
import random
import statistics

import whole_runs

RESAMPLES = 2000
NEAR = 0.05  # of the budget: "equal" multiplications
SPACES = {"whole": "1", "equal": "0.5"}  # budget as a share of the initial network's
SCORES = {
    "calibration 128": ["search.calibration_images=128"],
    "calibration 4096": ["search.calibration_images=4096"],
    "shared batch-norm": ["supernet.shared_norm=yes"],
}


def add_arguments(parser):
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=2, help="of a network's own training")
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--scores", nargs="*", choices=SCORES, default=list(SCORES))


def tau_b(x, y):
    concordant = ties_x = ties_y = pairs = 0
    for i, (x_i, y_i) in enumerate(zip(x, y)):
        for x_j, y_j in zip(x[:i], y[:i]):
            product = (x_i - x_j) * (y_i - y_j)
            concordant += (product > 0) - (product < 0)
            ties_x += x_i == x_j
            ties_y += y_i == y_j
            pairs += 1
    spread = (pairs - ties_x) * (pairs - ties_y)
    return concordant / spread**0.5 if spread > 0 else 0.0


def correlate(x, y):
    draws = random.Random(1)
    taus = []
    for _ in range(RESAMPLES):
        chosen = draws.choices(range(len(x)), k=len(x))
        taus.append(tau_b([x[i] for i in chosen], [y[i] for i in chosen]))
    taus.sort()
    return {"tau": round(tau_b(x, y), 3),
            "interval": [round(taus[int(part * RESAMPLES)], 3) for part in (0.025, 0.975)]}


def search(options, space, name, settings, supernet):
    """Scores the space's random samples in options.out/name."""
    count = options.networks if space == "whole" else 4 * options.networks
    drawn = ["search.strategy=random", f"search.total_samples={count}",
             f"search.budgets=[{{metric: macs, share: {SPACES[space]}}}]"]
    if supernet is None:
        whole_runs.taper(options, "supernet", name, settings + drawn)
        words = []
    else:
        words = ["--supernet", str(supernet)]
    return whole_runs.taper(options, "search", name, settings + drawn, *words), drawn


def choose(options, space, samples):
    """The first samples that are of the space, as many as asked for."""
    budget = max(sample["metrics"]["macs"] for sample in samples)
    chosen = [sample for sample in samples
              if space == "whole" or sample["metrics"]["macs"] >= (1 - NEAR) * budget]
    return chosen[:options.networks]


def train_alone(options, space, seed, supernet):
    """Test accuracies of the space's networks, trained with this seed in a folder of their own."""
    settings = [f"train.seed={seed}", f"train.epochs={options.epochs}", "train.inherit=no",
                "train.warmup_epochs=0.25", "threads=1"]
    name = f"{space}-{seed}"
    folder, drawn = search(options, space, name, settings, supernet)
    accuracies = []
    for sample in choose(options, space, whole_runs.samples(folder)):
        whole_runs.taper(options, "train", name, settings + drawn, "--sample",
                         str(sample["number"]))
        accuracies.append(whole_runs.done(folder)["test_accuracy"])
    return accuracies


def measure(options, space, supernet):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        trained = list(pool.map(lambda seed: train_alone(options, space, seed, supernet),
                                options.seeds))
    accuracy = [statistics.mean(of_seeds) for of_seeds in zip(*trained)]
    chosen = choose(options, space,
                    whole_runs.samples(options.out / f"{space}-{options.seeds[0]}"))
    macs = [sample["metrics"]["macs"] for sample in chosen]
    scores = [sample["score"] for sample in chosen]
    common = {"benchmark": "rank correlation", "config": options.config, "space": space,
              "networks": len(chosen), "epochs": options.epochs, "seeds": options.seeds}
    rows = [{**common, "of": "score", **correlate(scores, accuracy),
             "points": [{"macs": m, "score": s, "accuracy": list(a)}
                        for m, s, a in zip(macs, scores, zip(*trained))]},
            {**common, "of": "macs", **correlate(macs, accuracy)}]
    if len(trained) > 1:
        rows.append({**common, "of": "another seed", **correlate(trained[0], trained[1])})
    for name in options.scores:
        of_supernet = any(setting.startswith("supernet.") for setting in SCORES[name])
        folder, _ = search(options, space, f"{space}-{name.replace(' ', '-')}", SCORES[name],
                           None if of_supernet else supernet)
        others = choose(options, space, whole_runs.samples(folder))
        assert [other["subnetwork"] for other in others] == \
            [sample["subnetwork"] for sample in chosen], "the same seed draws the same samples"
        rows.append({**common, "of": f"score, {name}",
                     **correlate([other["score"] for other in others], accuracy)})
    return rows


def main():
    options = whole_runs.parse(__doc__, add_arguments)
    folder = whole_runs.taper(options, "supernet", "supernet", [])
    rows = []
    for space in options.spaces:
        rows += measure(options, space, folder / "supernet.safetensors")
    whole_runs.write(options, rows)


if __name__ == "__main__":
    main()
