#!/usr/bin/env python3
"""Makes JPEG pictures like ImageNet's from the photographs that tests/photographs.sh fetches.

  benchmarks/make_loader_pictures.py PHOTOGRAPHS FOLDER

FOLDER/large/PHOTOGRAPH/N.jpg are 500x375, shrunk from random parts three times as large, and
FOLDER/small/PHOTOGRAPH/N.jpg the same with a short side of 256 (341x256); quality 90, 4:2:0.
Needs Pillow (Debian: python3-pil).
"""
import pathlib
import random
import sys

from PIL import Image

WIDTH, HEIGHT, TIMES, PARTS = 500, 375, 3, 10


def main():
    photographs, folder = map(pathlib.Path, sys.argv[1:])
    draw, count = random.Random(1), 0
    for path in sorted(photographs.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        right, down = picture.width - TIMES * WIDTH, picture.height - TIMES * HEIGHT
        if right < 0 or down < 0:
            continue
        for number in range(PARTS):
            left, top = draw.randint(0, right), draw.randint(0, down)
            part = picture.crop((left, top, left + TIMES * WIDTH, top + TIMES * HEIGHT))
            for name, size in (("large", (WIDTH, HEIGHT)), ("small", (WIDTH * 256 // HEIGHT, 256))):
                where = folder / name / path.stem
                where.mkdir(parents=True, exist_ok=True)
                part.resize(size, Image.LANCZOS).save(where / f"{number}.jpg", quality=90)
            count += 1
    print(f"{count} pictures in {folder}/large and as many in {folder}/small")


if __name__ == "__main__":
    main()
