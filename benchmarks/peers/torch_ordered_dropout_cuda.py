"""The GPU peer: a training step of MobileNetV3-Large (or net S) in PyTorch, plain and masked.

  python3 benchmarks/peers/torch_ordered_dropout_cuda.py --compile --cuda-graphs

prints a JSON row per variant: the plain step of the full network and the ordered-dropout step with
masks, each as eager PyTorch and, when asked for, through torch.compile, replayed from a CUDA graph
that holds the whole step, and both. channels_last, bfloat16 autocast, fused SGD with momentum.
The pictures are bytes that already lie on the device and are normalised there; sub-networks are
drawn anew before each step, outside the timing. A variant that fails prints a row with "error".
"""
import argparse
import contextlib
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from ordered_dropout import DESCRIPTIONS, Masks, Network


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", choices=sorted(DESCRIPTIONS), default="mobilenet-v3-large")
    parser.add_argument("--size", type=int, help="of the square pictures; the network's own")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--groups", type=int, default=16, help="sub-networks in the batch")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="also through torch.compile")
    parser.add_argument("--cuda-graphs", action="store_true", help="also as one CUDA graph")
    parser.add_argument("--only", choices=("plain", "masked"), help="one of the two steps")
    parser.add_argument("--device", default="cuda", help="cpu is for trying the script")
    parser.add_argument("--float32", action="store_true", help="no autocast")
    options = parser.parse_args()
    if options.groups < 1 or options.batch % options.groups != 0:
        parser.error("--groups must divide --batch")
    if options.steps < 1 or options.warmup < 1:
        parser.error("--steps and --warmup must be at least 1")
    if options.device == "cpu" and options.cuda_graphs:
        parser.error("--cuda-graphs needs a GPU")
    options.size = options.size or DESCRIPTIONS[options.net].size
    return options


class Training:
    """One network with its optimiser, its resident batch and the step over them."""

    def __init__(self, options, masked, compiled):
        network_description = DESCRIPTIONS[options.net]
        self.options, self.device = options, torch.device(options.device)
        self.on_gpu = self.device.type == "cuda"
        self.half = self.on_gpu and not options.float32
        dtype = torch.bfloat16 if self.half else torch.float32
        network = Network(network_description)
        self.masks = Masks(network.mask_widths, network_description.width_step, self.device,
                           dtype)
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9,
                                         weight_decay=1e-5,
                                         **({"fused": True} if self.on_gpu else {}))
        shape = (options.batch, 3, options.size, options.size)
        self.pictures = torch.randint(0, 256, shape, dtype=torch.uint8).to(
            self.device, memory_format=torch.channels_last)
        labels = torch.randint(0, network_description.classes, (options.batch,))
        self.labels = labels.to(self.device)
        mean = torch.tensor([0.485, 0.456, 0.406])
        deviation = torch.tensor([0.229, 0.224, 0.225])
        self.scale = (1 / (255 * deviation)).to(self.device, dtype)[:, None, None]
        self.shift = (-mean / deviation).to(self.device, dtype)[:, None, None]
        self.kept = self.draw() if masked else None
        self.loss = torch.compile(self.compute_loss) if compiled else self.compute_loss

    def draw(self):
        return self.masks.draw(self.options.batch, self.options.groups)

    def compute_loss(self, pictures, labels, kept):
        # bytes are exact in bfloat16
        x = pictures.to(self.scale.dtype).mul_(self.scale).add_(self.shift)
        masks = None if kept is None else self.masks.build(kept)
        autocast = (torch.autocast("cuda", torch.bfloat16) if self.half
                    else contextlib.nullcontext())
        with autocast:
            return F.cross_entropy(self.network(x, masks).float(), labels)

    def step(self):
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.pictures, self.labels, self.kept)
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def as_graph(training):
    """The whole step recorded once, as PyTorch's documentation describes; returns its replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            training.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    training.optimiser.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss = training.step()

    def replay():
        graph.replay()
        return loss

    return replay


def measure(training, step):
    """Milliseconds of each step, and the last loss."""
    options = training.options
    draws = [training.draw() for _ in range(options.steps)] if training.kept is not None else None
    for _ in range(options.warmup):
        loss = step()
    times = []
    if training.on_gpu:
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)]
                  for _ in range(options.steps)]
        torch.cuda.synchronize()
    for i in range(options.steps):
        if draws is not None:
            training.kept.copy_(draws[i])
        if training.on_gpu:
            events[i][0].record()
            loss = step()
            events[i][1].record()
        else:
            start = time.perf_counter()
            loss = step()
            times.append(1e3 * (time.perf_counter() - start))
    if training.on_gpu:
        torch.cuda.synchronize()
        times = [start.elapsed_time(end) for start, end in events]
    return times, loss.item()


def description(options, masked, compiled, graph):
    way = "+".join(name for name, used in (("compile", compiled), ("graph", graph)) if used)
    return {"what": ("ordered-dropout step with masks" if masked else "plain full-width step")
            + ", PyTorch " + (way or "eager"),
            "network": options.net, "size": options.size, "batch": options.batch,
            "groups": options.groups if masked else 1,
            "precision": "float32" if options.float32 or options.device == "cpu" else "bfloat16",
            "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
            "torch": torch.__version__}


def figures(options, training, graph):
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times, loss = measure(training, as_graph(training) if graph else training.step)
    median = statistics.median(times)
    result = {"images_per_second": round(1e3 * options.batch / median),
              "median_ms": round(median, 4), "best_ms": round(min(times), 4),
              "steps": options.steps, "last_loss": round(loss, 4)}
    if training.on_gpu and not graph:
        result["peak_gigabytes"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return result


def main():
    options = parse()
    torch.backends.cudnn.benchmark = True
    steps = [masked for masked in (False, True)
             if options.only != ("plain" if masked else "masked")]
    trainings = {}
    # What is quick first, in case that time runs out; compiling takes minutes.
    for compiled in (False, True)[:1 + options.compile]:
        for graph in (False, True)[:1 + options.cuda_graphs]:
            for masked in steps:
                result = description(options, masked, compiled, graph)
                start = time.perf_counter()
                try:
                    if (masked, compiled) not in trainings:
                        torch.manual_seed(0)
                        trainings[masked, compiled] = Training(options, masked, compiled)
                    result.update(figures(options, trainings[masked, compiled], graph))
                except Exception as error:  # the other variants are still worth their time
                    result["error"] = (str(error).splitlines() or [repr(error)])[0][:300]
                result.update(seconds=round(time.perf_counter() - start, 1),
                              command="python3 " + " ".join(sys.argv))
                print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
