#!/usr/bin/env python3
"""The tiles that lie in FOLDER as a folder, as shards and as packs, read by the formats'
descriptions: the same pictures of the same classes in the same order, a whole grid of each photograph.
Usage: same_tiles.py FOLDER ROWS COLUMNS
"""
import collections
import pathlib
import struct
import sys
import tarfile


def of_folder(top):
    classes = sorted(path.name for path in top.iterdir())
    return [(classes.index(path.parent.name), path.read_bytes()) for path in sorted(top.glob("*/*.jpg"))]


def of_shards(paths):
    tiles = []
    for path in paths:
        with tarfile.open(path) as tar:
            data = {member.name: tar.extractfile(member).read() for member in tar}
        keys = sorted(name[:-4] for name in data if name.endswith(".jpg"))
        tiles += [(int(data[key + ".cls"]), data[key + ".jpg"]) for key in keys]
    return tiles


def of_pack(path):  # host/data/pack_format.h, host/data/picture_list.h
    file = path.read_bytes()
    count, index = struct.unpack_from("<Q8xQ", file, 16)
    tiles = []
    for i in range(count):
        place, size = struct.unpack_from("<QI", file, index + 16 * i)
        place, label = place & (1 << 48) - 1, place >> 48
        tiles.append((label, file[place:place + size]))
    return tiles


def main():
    folder, whole_grid = pathlib.Path(sys.argv[1]), int(sys.argv[2]) * int(sys.argv[3])
    found, shard_count = collections.Counter(), 0
    for part, name in (("train", "train"), ("test", "val")):
        tiles = of_folder(folder / "folder" / part)
        shards = sorted((folder / "shards").glob(name + "-*.tar"))
        shard_count += len(shards)
        assert len(shards) > 1, f"{part}: {len(shards)} shards"
        assert of_shards(shards) == tiles, f"{part}: the shards hold other tiles"
        assert of_pack(folder / "pack" / (name + ".pack")) == tiles, f"{part}: the pack holds other tiles"
        found.update(label for label, _ in tiles)
    assert found and set(found.values()) == {whole_grid}, f"not all tiles of a photograph: {found}"
    print(f"same_tiles.py: {whole_grid} tiles of each of {len(found)} pictures, in {shard_count} shards")


main()
