#!/usr/bin/env python3
"""Compares decoding and resizing with Pillow's, on the photographs that photographs.sh fetches.

  tests/photographs.sh FOLDER && tests/check_photographs.py build/cpu/tests/resize_picture FOLDER

Boxes as random crops and as the evaluation's centre (in fractions of pixels), to 224x224. Without
shrinking in the decoder the grey levels differ by less than 1 on average (both round; libjpeg is the
same), with it by less than 2.5. Ends with 77 where Pillow or the photographs are missing.
"""
import io
import pathlib
import random
import subprocess
import sys

SIDE = 224
LIMITS = {1: 1.0, 8: 2.5}  # by how much a decoder may shrink: mean difference in grey levels


def boxes_of(width, height, draw):
    """The centre at 0.875 of the short side, and two crops of whole pixels; (top, left, h, w)."""
    side = min(width, height) * 0.875
    yield (height - side) / 2, (width - side) / 2, side, side
    for share in (0.6, 0.1):
        h, w = (round(edge * (share * draw.uniform(0.8, 1.2)) ** 0.5) for edge in (height, width))
        yield draw.randint(0, height - h), draw.randint(0, width - w), h, w


def main():
    try:
        from PIL import Image
        import numpy
    except ImportError as missing:
        print(f"check_photographs.py: skipped: {missing}")
        return 77
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    photographs = sorted(folder.glob("*.jpg"))
    if len(photographs) < 20:
        print(f"check_photographs.py: skipped: {folder} has {len(photographs)} photographs, not 20")
        return 77
    odd = [path for path in sorted(folder.glob("odd/*.jpg")) if "1x1" not in path.name]
    draw, worst, failed = random.Random(1), {1: [], 8: []}, 0
    for path in photographs + odd:
        picture = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
        for top, left, h, w in boxes_of(*picture.size, draw):
            pillow = picture.resize((SIDE, SIDE), Image.BILINEAR,
                                    box=(left, top, left + w, top + h))
            expected = numpy.asarray(pillow).astype(int)
            for shrink, limit in LIMITS.items():
                words = [program, path, top, left, h, w, SIDE, SIDE, shrink]
                made = subprocess.run([str(word) for word in words], check=True,
                                      stdout=subprocess.PIPE).stdout
                ours = numpy.frombuffer(made, numpy.uint8).reshape(SIDE, SIDE, 3)
                difference = numpy.abs(ours.astype(int) - expected)
                worst[shrink].append((difference.mean(), difference.max(), path.name))
                if difference.mean() >= limit:
                    failed += 1
                    print(f"{path.name}: {h} x {w} from {top}, {left}, shrink {shrink}: "
                          f"{difference.mean():.2f} grey levels on average, limit {limit}")
    for shrink, rows in worst.items():
        means = [mean for mean, _, _ in rows]
        print(f"shrink up to {shrink}: {len(rows)} pictures, mean {sum(means) / len(means):.3f}, "
              f"worst {max(rows)[0]:.3f} ({max(rows)[2]}), single pixel {max(m for _, m, _ in rows)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
