"""The products and other operations of bench_operations through PyTorch: cuBLAS and cuDNN.

  build/cuda/benchmarks/bench_operations | tee operations.jsonl
  python3 benchmarks/peers/cublas_products.py operations.jsonl

reads bench_operations' rows and does the same work: same shapes, batch and kept widths. A JSON row
per row read, with its "widths", "groups", "layer" and "operation", "ours" (microseconds) and:
  products (expand, project, head, linear)  a torch.matmul per group on bfloat16, that is cuBLAS, for
      the forward pass, the gradient of the input and that of the weights; groups of random widths
      also as one product of full widths, "full_width"
  depthwise convolutions (full widths)      cuDNN or PyTorch's own, forward and backward
  batch-norm and activation (full widths)   as two operations, beside the depthwise rows
Everything is replayed from a CUDA graph that rotates through several operand sets, so that neither
launching nor a cache is measured. Our backward products include batch-norm's derivative, the
activation's and the sums of the next batch-norm; a matmul does none of that. Summaries last.
`--device cpu --repeats 1 --calls 1 --sets 1` only tries the script.
"""
import argparse
import collections
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

PRODUCTS = ("expand", "project", "pointwise", "linear")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", help="what bench_operations printed")
    parser.add_argument("--sets", type=int, default=4, help="operand sets, rotated through")
    parser.add_argument("--calls", type=int, default=12, help="in a graph")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", help="operations whose name contains this")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    options.dtype = torch.bfloat16 if options.device == "cuda" else torch.float32
    return options


class Clock:
    """Median seconds of one call; calls take the number of an operand set."""

    def __init__(self, options):
        self.options = options
        self.on_gpu = options.device == "cuda"

    def record(self, work):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for number in range(self.options.sets):
                work(number)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for call in range(self.options.calls):
                work(call % self.options.sets)
        return graph

    def seconds(self, work):
        options = self.options
        if not self.on_gpu:
            work(0)
            start = time.perf_counter()
            for call in range(options.calls):
                work(call % options.sets)
            return (time.perf_counter() - start) / options.calls
        graph = self.record(work)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(options.repeats + 1)]
        graph.replay()
        events[0].record()
        for event in events[1:]:
            graph.replay()
            event.record()
        torch.cuda.synchronize()
        return statistics.median(a.elapsed_time(b) / 1e3 / options.calls
                                 for a, b in zip(events, events[1:]))

    def microseconds(self, work):
        return round(1e6 * self.seconds(work), 2)


class Products:
    """Per set and group: x [pixels][in], w [out][in], dy [pixels][out], and room for the results."""

    def __init__(self, options, shapes):
        def random(rows, columns):
            return torch.randn(rows, columns, device=options.device, dtype=options.dtype)

        self.sets = [[(random(pixels, inputs), random(outputs, inputs), random(pixels, outputs),
                       random(pixels, outputs), random(pixels, inputs), random(outputs, inputs))
                      for pixels, inputs, outputs in shapes] for _ in range(options.sets)]

    def forward(self, number):
        for x, w, _, y, _, _ in self.sets[number]:
            torch.mm(x, w.t(), out=y)

    def input_gradient(self, number):
        for _, w, dy, _, dx, _ in self.sets[number]:
            torch.mm(dy, w, out=dx)

    def weight_gradient(self, number):
        for x, _, dy, _, _, dw in self.sets[number]:
            torch.mm(dy.t(), x, out=dw)


def pixels_of(row):
    """Of one group."""
    return row["batch"] // row["groups"] * row["height"] * row["width"]


def time_products(clock, shapes):
    products = Products(clock.options, shapes)
    return {"forward": clock.microseconds(products.forward),
            "input_gradient": clock.microseconds(products.input_gradient),
            "weight_gradient": clock.microseconds(products.weight_gradient)}


def product_row(clock, row, full):
    """`full`: widths of the full network for this product."""
    pixels = pixels_of(row)
    shapes = [(pixels, i, o) for i, o in zip(row["in"], row["out"]) if i and o]
    result = {"cublas": time_products(clock, shapes)}
    if row["groups"] > 1 and full:
        result["full_width"] = time_products(clock, [(pixels * row["groups"], *full)])
    return result


class Depthwise:
    """One group of full widths, channels last."""

    def __init__(self, options, row):
        channels = row["in"][0]
        self.channels, self.stride, self.padding = channels, row["stride"], row["kernel"] // 2
        height, width = (-(-row[side] // row["stride"]) for side in ("height", "width"))

        def random(*shape):
            values = torch.randn(*shape, device=options.device, dtype=options.dtype)
            return values.to(memory_format=torch.channels_last)

        kernel = row["kernel"]
        self.sets = [(random(row["batch"], channels, row["height"], row["width"]),
                      random(channels, 1, kernel, kernel),
                      random(row["batch"], channels, height, width)) for _ in range(options.sets)]
        self.norms = [torch.rand(channels, device=options.device) + 0.5 for _ in range(4)]

    def forward(self, number):
        x, w, _ = self.sets[number]
        F.conv2d(x, w, stride=self.stride, padding=self.padding, groups=self.channels)

    def gradients(self, number, which):
        x, w, dy = self.sets[number]
        torch.ops.aten.convolution_backward(
            dy, x, w, None, [self.stride] * 2, [self.padding] * 2, [1, 1], False, [0, 0],
            self.channels, which)

    def input_gradient(self, number):
        self.gradients(number, [True, False, False])

    def weight_gradient(self, number):
        self.gradients(number, [False, True, False])

    def norm_forward(self, number):
        weight, bias = self.norms[:2]
        F.hardswish(F.batch_norm(self.sets[number][2], None, None, weight, bias, True))

    def norm_backward(self, number):
        y = self.sets[number][2]
        weight, _, mean, deviation = self.norms
        dy = torch.ops.aten.hardswish_backward(y, y)
        # PyTorch's own kernel for channels last; cuDNN's wants what its forward pass reserved
        torch.ops.aten.native_batch_norm_backward(
            dy, y, weight, None, None, mean, deviation, True, 1e-5, [True, True, True])


def depthwise_row(clock, row):
    depthwise = Depthwise(clock.options, row)
    return {"torch": {name: clock.microseconds(getattr(depthwise, name))
                      for name in ("forward", "input_gradient", "weight_gradient",
                                   "norm_forward", "norm_backward")}}


def read_rows(path):
    """{(widths, groups, layer, operation): row}, with our microseconds by call under "ours"."""
    rows = collections.OrderedDict()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("{"):
                continue
            row = json.loads(line)
            if row.get("benchmark") != "operation":
                continue
            key = row["widths"], row["groups"], row["layer"], row["operation"]
            rows.setdefault(key, dict(row, ours={}))["ours"][row["call"]] = row["microseconds"]
    return rows


def backward(times):
    return times["input_gradient"] + times["weight_gradient"]


def summarise(results):
    """Our time as a share of theirs, products and depthwise convolutions, over all layers."""
    sums = collections.defaultdict(lambda: collections.defaultdict(float))
    for result in results:
        theirs = result.get("cublas") or result.get("torch")
        if not theirs or not {"forward", "backward"} <= result["ours"].keys():
            continue
        kind = "depthwise" if "torch" in result else result["operation"]
        entry = sums[result["widths"], result["groups"], kind]
        entry["layers"] += 1
        for call, time in (("forward", theirs["forward"]), ("backward", backward(theirs))):
            entry["ours_" + call] += result["ours"][call]
            entry["theirs_" + call] += time
        if "full_width" in result:
            entry["full_width_forward"] += result["full_width"]["forward"]
            entry["full_width_backward"] += backward(result["full_width"])
    for (widths, groups, kind), entry in sums.items():
        print(json.dumps({"benchmark": "peer summary", "widths": widths, "groups": groups,
                          "operation": kind,
                          **{name: round(value, 1) for name, value in entry.items()},
                          "speedup_forward": round(entry["theirs_forward"] /
                                                   entry["ours_forward"], 2),
                          "speedup_backward": round(entry["theirs_backward"] /
                                                    entry["ours_backward"], 2)}))


def main():
    options = parse()
    torch.backends.cudnn.benchmark = True
    clock = Clock(options)
    device = torch.cuda.get_device_name() if clock.on_gpu else "cpu"
    rows, results = read_rows(options.rows), []
    full = {(layer, operation): (row["in"][0], row["out"][0])
            for (widths, _, layer, operation), row in rows.items() if widths == "full"}
    for (widths, groups, layer, operation), row in rows.items():
        if options.only and options.only not in operation:
            continue
        try:
            if operation in PRODUCTS:
                figures = product_row(clock, row, full.get((layer, operation)))
            elif operation.startswith("depthwise") and widths == "full":
                figures = depthwise_row(clock, row)
            else:
                continue
        except RuntimeError as error:  # the other rows are still worth their time
            figures = {"error": str(error).splitlines()[0][:300]}
        result = {"benchmark": "peer operation", "device": device, "version": torch.__version__,
                  "widths": widths, "groups": groups, "batch": row["batch"], "layer": layer,
                  "operation": operation, "ours": row["ours"], **figures}
        print(json.dumps(result), flush=True)
        results.append(result)
    summarise(results)
    print(json.dumps({"what": "command", "command": "python3 " + " ".join(sys.argv)}))


if __name__ == "__main__":
    main()
