#!/usr/bin/env python3
"""bench_loader with two threads, and two of them with one thread each side by side, in turns.

  benchmarks/loader_side_by_side.py FOLDER --rounds 9

FOLDER is one of those that make_loader_pictures.py made. Prints a JSON row with the medians over rounds
of images/s of both and of the ratio within a round: what threads of one program cost each other.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def images_per_second(words, copies):
    running = [subprocess.Popen([str(word) for word in words], cwd=ROOT, text=True,
                                stdout=subprocess.PIPE) for _ in range(copies)]
    answers = [program.communicate()[0] for program in running]
    if any(program.returncode != 0 for program in running):
        sys.exit(f"{' '.join(map(str, words))} failed")
    return sum(json.loads(answer)["images_per_second"] for answer in answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--program", default="build/cpu/benchmarks/bench_loader")
    options = parser.parse_args()
    pictures = options.folder.resolve()
    threads, apart = [], []
    for _ in range(options.rounds):
        threads.append(images_per_second([options.program, pictures, 2, 3], 1))
        apart.append(images_per_second([options.program, pictures, 1, 3], 2))
    ratio = statistics.median(one / two for one, two in zip(threads, apart))
    print(json.dumps({"what": "two threads against two programs side by side", "pictures":
                      pictures.name, "rounds": options.rounds,
                      "threads_images_per_second": statistics.median(threads),
                      "programs_images_per_second": statistics.median(apart),
                      "ratio": round(ratio, 3), "command": " ".join(sys.argv)}))


if __name__ == "__main__":
    main()
