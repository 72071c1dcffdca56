#!/usr/bin/env python3
"""bench_loader and peers/torch_loader.py in turns on the same pictures, with two threads or workers.

  benchmarks/loader_against_peer.py FOLDER --rounds 5

FOLDER is what make_loader_pictures.py made. Prints a JSON row with the medians over rounds of
images/s of both and of the ratio within a round. Needs a python3 with torchvision.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def last_row(words):
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}\nended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", default="build/cpu/benchmarks/bench_loader")
    parser.add_argument("--python", default="/usr/bin/python3", help="one that has torchvision")
    options = parser.parse_args()
    for name in ("large", "small"):
        pictures = options.folder.resolve() / name
        commands = {"ours": [options.program, pictures, options.threads, 3],
                    "peer": [options.python, "benchmarks/peers/torch_loader.py", pictures,
                             "--workers", options.threads]}
        rows = {"ours": [], "peer": []}
        for turn in range(options.rounds):
            for side in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
                rows[side].append(last_row(commands[side]))
        speeds = {side: [row["images_per_second"] for row in rows[side]] for side in rows}
        print(json.dumps({
            "what": "random resized crops of JPEG pictures to 224x224 against torchvision",
            "pictures": name, "threads": options.threads, "rounds": options.rounds,
            "ours_images_per_second": statistics.median(speeds["ours"]),
            "peer_images_per_second": statistics.median(speeds["peer"]),
            "ratio": round(statistics.median(a / b for a, b in zip(*speeds.values())), 2),
            "torchvision": rows["peer"][0]["torchvision"], "pillow": rows["peer"][0]["pillow"],
            "load": round(os.getloadavg()[0], 2), "command": " ".join(sys.argv)}), flush=True)


if __name__ == "__main__":
    main()
