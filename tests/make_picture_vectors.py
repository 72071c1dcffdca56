#!/usr/bin/env python3
"""Writes vectors/pictures.safetensors: small JPEG files and what Pillow makes of them, its resizing by
boxes, and its colour changes. test_jpeg.c, test_resample.c and test_crop.c do the same.

Made with Pillow 9.4.0 (Debian: python3-pil, libjpeg-turbo 2.1.5).
"""
import io
import json
import math
import os
import struct

import PIL
from PIL import Image, ImageEnhance

HEIGHT, WIDTH = 52, 70

# (top, left, height, width, out height, out width): larger, smaller, equal, parts, fractions, edges
BOXES = [(0, 0, 52, 70, 52, 70), (0, 0, 52, 70, 17, 23), (0, 0, 52, 70, 99, 101),
         (10, 20, 30, 40, 15, 16), (3.25, 7.5, 40.125, 33.3, 24, 24), (0, 0, 1, 1, 5, 4),
         (51, 69, 1, 1, 3, 2), (0, 60, 52, 10, 7, 20), (1.5, 0, 50.5, 70, 1, 1),
         (20, 0, 2, 70, 31, 9)]
FACTORS = (0.6, 1.4)

tensors = {}


def add(name, values, shape, kind="U8"):
    data = bytes(values) if kind == "U8" else struct.pack(f"<{len(values)}d", *values)
    tensors[name] = kind, shape, data


def add_picture(name, picture):
    add(name, picture.tobytes(), [picture.height, picture.width, len(picture.getbands())])


def photograph():
    """Slopes, edges and fine texture in all three colours."""
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            wave = 50 * math.sin(x * 0.31 + y * 0.17) + 30 * math.sin(x * y * 0.013)
            edge = 60 if (x - 35) ** 2 + (y - 26) ** 2 < 300 else 0
            noise = (x * 7919 + y * 104729 + x * x * y) % 23
            values = (90 + wave + edge + noise, 40 + 2 * x + noise - edge / 2,
                      200 - 3 * y + wave / 2 + edge)
            picture.putpixel((x, y), tuple(min(255, max(0, round(v))) for v in values))
    return picture


def add_jpeg(name, picture, **options):
    file = io.BytesIO()
    picture.save(file, "JPEG", **{"quality": 90, **options})
    add(name + ".jpg", file.getvalue(), [len(file.getvalue())])
    add_picture(name + ".rgb", Image.open(file).convert("RGB"))


def write(path):
    header = {"__metadata__": {"made_by": "make_picture_vectors.py, Pillow " + PIL.__version__}}
    data = b""
    for name, (kind, shape, values) in sorted(tensors.items(), key=lambda item: item[1][0]):
        header[name] = dict(dtype=kind, shape=shape, data_offsets=[len(data), len(data) + len(values)])
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    picture = photograph()
    add_picture("picture", picture)
    for number, name in enumerate(("444", "422", "420")):
        add_jpeg(name, picture, subsampling=number)
    add_jpeg("progressive", picture, progressive=True)
    add_jpeg("gray", picture.convert("L"))
    add_jpeg("cmyk", picture.convert("CMYK"))
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me": is left as it is
    add_jpeg("turned", picture, exif=exif)
    add("boxes", [value for box in BOXES for value in box], [len(BOXES), 6], "F64")
    for number, (top, left, height, width, out_height, out_width) in enumerate(BOXES):
        add_picture(f"resized.{number}", picture.resize(
            (out_width, out_height), Image.BILINEAR, box=(left, top, left + width, top + height)))
    add("factors", FACTORS, [len(FACTORS)], "F64")
    for which, enhance in enumerate((ImageEnhance.Brightness, ImageEnhance.Contrast,
                                     ImageEnhance.Color)):
        for number, factor in enumerate(FACTORS):
            add_picture(f"jittered.{which}.{number}", enhance(picture).enhance(factor))
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors",
                       "pictures.safetensors"))


if __name__ == "__main__":
    main()
