#!/usr/bin/env python3
"""Random resized crops of JPEG pictures by torchvision's ImageFolder and PyTorch's DataLoader.

  benchmarks/peers/torch_loader.py FOLDER --workers 2 --epochs 3

FOLDER/CLASS/NAME.jpg. RandomResizedCrop(224), a flip, and 8-bit tensors: what bench_loader makes, and
less than usual training asks for (no float, no normalising). Prints a JSON row: the median of
images/s over the epochs after the first, in which workers start and files come into memory.
"""
import argparse
import json
import statistics
import time

import PIL
import torch
import torchvision
from torchvision import transforms


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = torchvision.datasets.ImageFolder(options.folder, transforms.Compose([
        transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(),
        transforms.PILToTensor()]))
    loader = torch.utils.data.DataLoader(pictures, options.batch, shuffle=True,
                                         num_workers=options.workers, persistent_workers=True)
    speeds = []
    for _ in range(options.epochs):
        start, images = time.perf_counter(), 0
        for batch, _ in loader:
            images += len(batch)
        speeds.append(images / (time.perf_counter() - start))
    print(json.dumps({"what": "torchvision ImageFolder and DataLoader", "folder": options.folder,
                      "workers": options.workers, "batch": options.batch, "pictures": len(pictures),
                      "images_per_second": round(statistics.median(speeds[1:])),
                      "torch": torch.__version__, "torchvision": torchvision.__version__,
                      "pillow": PIL.__version__}))


if __name__ == "__main__":
    main()
