"""What this GPU reaches at best: copying memory, and multiplying bfloat16 matrices on random data.

  python3 benchmarks/peers/ceilings.py

prints two JSON rows; medians by CUDA events. `--device cpu --megabytes 64 --size 256` only tries
the script.
"""
import argparse
import json
import statistics
import sys
import time

import torch


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1024, help="copied")
    parser.add_argument("--size", type=int, default=8192, help="of the square matrices")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def median_seconds(work, repeats, on_gpu):
    for _ in range(3):
        work()
    if not on_gpu:
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return statistics.median(times)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    events[0].record()
    for event in events[1:]:
        work()
        event.record()
    torch.cuda.synchronize()
    return statistics.median(a.elapsed_time(b) / 1e3 for a, b in zip(events, events[1:]))


def main():
    options = parse()
    on_gpu = options.device == "cuda"

    def show(what, seconds, **figures):
        print(json.dumps({
            "what": what, "device": torch.cuda.get_device_name() if on_gpu else "cpu",
            "torch": torch.__version__, **figures, "median_ms": round(1e3 * seconds, 4),
            "command": "python3 " + " ".join(sys.argv)}), flush=True)

    size = options.megabytes << 20
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=options.device)
    target = torch.empty_like(source)
    seconds = median_seconds(lambda: target.copy_(source), options.repeats, on_gpu)
    show("copy on the device, read and written bytes counted", seconds, bytes=2 * size,
         terabytes_per_second=round(2 * size / seconds / 1e12, 3))
    del source, target

    n = options.size
    dtype = torch.bfloat16 if on_gpu else torch.float32
    a, b = (torch.randn(n, n, device=options.device, dtype=dtype) for _ in range(2))
    result = torch.empty(n, n, device=options.device, dtype=dtype)
    seconds = median_seconds(lambda: torch.mm(a, b, out=result), options.repeats, on_gpu)
    show(f"product of {n}x{n} matrices, {str(dtype).split('.')[1]}, random data", seconds,
         teraflops_per_second=round(2 * n ** 3 / seconds / 1e12, 1))


if __name__ == "__main__":
    main()
