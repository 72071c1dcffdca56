"""The CPU peer: one ordered-dropout training step in PyTorch with masks, net S, 32x32x3.

  MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 \\
  MALLOC_TOP_PAD_=1073741824 python3 benchmarks/peers/torch_ordered_dropout.py --threads 1

prints a JSON row per round. The environment keeps malloc from giving pages back after every step,
which costs PyTorch a factor of 3 to 7: it is the fair peer. One thread: process CPU time, else
wall time, as bench_step does.
"""
import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from ordered_dropout import NET_S, Masks, Network


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-mask", dest="mask", action="store_false",
                        help="the plain step of the full network")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--groups", type=int, default=64, help="sub-networks in the batch")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of a round")
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    if options.groups < 1 or options.batch % options.groups != 0:
        parser.error("--groups must divide --batch")
    if min(options.threads, options.steps, options.rounds) < 1:
        parser.error("--threads, --steps and --rounds must be at least 1")
    return options


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = Network(NET_S).to(memory_format=torch.channels_last)
    masks = Masks(network.mask_widths, NET_S.width_step, "cpu", torch.float32)
    optimiser = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    pictures = torch.randn(options.batch, 3, NET_S.size, NET_S.size)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, NET_S.classes, (options.batch,))
    clock = time.process_time if options.threads == 1 else time.perf_counter

    def timed_step():
        kept = masks.draw(options.batch, options.groups) if options.mask else None
        start = clock()
        optimiser.zero_grad(set_to_none=True)
        drawn = masks.build(kept) if options.mask else None
        F.cross_entropy(network(pictures, drawn), labels).backward()
        optimiser.step()
        return clock() - start

    for _ in range(options.warmup):
        timed_step()
    for round_number in range(options.rounds):
        seconds = [timed_step() for _ in range(options.steps)]
        print(json.dumps({
            "what": "ordered-dropout step, PyTorch " + ("masks" if options.mask else "unmasked"),
            "network": "net S", "torch": torch.__version__, "threads": options.threads,
            "batch": options.batch, "groups": options.groups if options.mask else 1,
            "steps": options.steps, "round": round_number,
            "images_per_second": {"median": round(options.batch / statistics.median(seconds)),
                                  "best": round(options.batch / min(seconds))},
            "command": "python3 " + " ".join(sys.argv)}), flush=True)


if __name__ == "__main__":
    main()
