#!/usr/bin/env python3
"""Writes vectors/shared_norm.safetensors: one ordered-dropout step with shared batch-norm
statistics, as PyTorch computes it (float64, autograd). test_vectors_double.c runs the same step.

Every group is computed by slices of the weights; only the statistics meet. The network and the
groups stand here and in the test. Made with PyTorch 1.13.1 (Debian: python3-torch).
"""
import array
import json
import os
import struct
import sys

import torch
import torch.nn.functional as F

HEIGHT, WIDTH, CHANNELS, CLASSES = 9, 7, 2, 5
IMAGES = 2  # per group
EPSILON, SMOOTHING = 1e-5, 0.1

# Kept widths and kernels; mix_width 0: the block is absent.
GROUPS = [
    dict(stem=9, mix_width=9, mix_expand=40, mix_kernel=5, down_width=17, down_expand=23),
    dict(stem=7, mix_width=3, mix_expand=23, mix_kernel=3, down_width=8, down_expand=16),
    dict(stem=9, mix_width=0, mix_expand=0, mix_kernel=0, down_width=8, down_expand=23),
    dict(stem=9, mix_width=8, mix_expand=23, mix_kernel=5, down_width=3, down_expand=16),
]
MIX_BYPASS, DOWN_BYPASS = 9, 6
SQUEEZE = {40: 16, 23: 8}

SHAPES = {
    "stem.weight": (9, CHANNELS, 3, 3),
    "mix.conv_pw.weight": (40, 9, 1, 1),
    "mix.conv_dw.weight": (40, 1, 5, 5),
    "mix.se.conv_reduce.weight": (16, 40, 1, 1),
    "mix.se.conv_expand.weight": (40, 16, 1, 1),
    "mix.conv_pwl.weight": (9, 40, 1, 1),
    "down.conv_pw.weight": (23, 9, 1, 1),
    "down.conv_dw.weight": (23, 1, 3, 3),
    "down.conv_pwl.weight": (17, 23, 1, 1),
    "classifier.weight": (CLASSES, 17),
    "mix.se.conv_reduce.bias": (16,),
    "mix.se.conv_expand.bias": (40,),
    "classifier.bias": (CLASSES,),
}
for norm, channels in {"stem.bn": 9, "mix.bn1": 40, "mix.bn2": 40, "mix.bn3": 9, "down.bn1": 23,
                       "down.bn2": 23, "down.bn3": 17}.items():
    SHAPES[norm + ".weight"] = SHAPES[norm + ".bias"] = (channels,)

kinks = []  # distances of pre-activations from the nearest kink


def activation(kind, y):
    for kink in {"relu": (0,), "relu6": (0, 6), "hard": (-3, 3)}[kind]:
        kinks.append((y.detach() - kink).abs().min().item())
    return {"relu": F.relu, "relu6": F.relu6, "hard": F.hardswish}[kind](y)


def shared_norm(weights, name, z):
    """z: per group (images, kept, height, width), or None where absent. The statistics of a channel
    are those of all images that keep it."""
    full = weights[name + ".weight"].shape[0]

    def total(values):
        return sum(F.pad(v, (0, full - v.shape[0])) for v in values)

    present = [v for v in z if v is not None]
    count = total([torch.full((v.shape[1],), v.numel() / v.shape[1], dtype=v.dtype)
                   for v in present]).clamp(min=1)
    mean = total([v.sum((0, 2, 3)) for v in present]) / count

    def centred(v):
        return v - mean[:v.shape[1]].view(1, -1, 1, 1)

    variance = total([centred(v).pow(2).sum((0, 2, 3)) for v in present]) / count
    scale = weights[name + ".weight"] / (variance + EPSILON).sqrt()

    def normalised(v):
        kept = v.shape[1]
        bias = weights[name + ".bias"][:kept]
        return centred(v) * scale[:kept].view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)

    return [None if v is None else normalised(v) for v in z]


def convolve(x, weight, out, kernel=None, stride=1, depthwise=False):
    """The first `out` filters, the first inputs, the centre of the kernel."""
    full = weight.shape[2]
    kernel = kernel or full
    margin = (full - kernel) // 2
    inputs = 1 if depthwise else x.shape[1]
    kept = weight[:out, :inputs, margin:full - margin, margin:full - margin]
    return F.conv2d(x, kept, stride=stride, padding=kernel // 2, groups=out if depthwise else 1)


def squeeze_excite(weights, a):
    channels, hidden = a.shape[1], SQUEEZE[a.shape[1]]
    squeezed = F.conv2d(a.mean((2, 3), keepdim=True),
                        weights["mix.se.conv_reduce.weight"][:hidden, :channels],
                        weights["mix.se.conv_reduce.bias"][:hidden])
    gate = F.conv2d(activation("relu", squeezed),
                    weights["mix.se.conv_expand.weight"][:channels, :hidden],
                    weights["mix.se.conv_expand.bias"][:channels])
    kinks.append((gate.detach().abs() - 3).abs().min().item())
    return a * F.relu6(gate + 3) / 6  # hardsigmoid's derivative has 1/6 in float32 only


def combine(filtered, x, bypass, residual):
    """Channel bypass and residual: kept filters first, then channels of the input."""
    bypassed = x[:, :min(x.shape[1], bypass)]
    if filtered is None:
        return bypassed
    kept = filtered.shape[1]
    if residual:
        shared = min(kept, x.shape[1])
        filtered = torch.cat([filtered[:, :shared] + x[:, :shared], filtered[:, shared:]], 1)
    return torch.cat([filtered, bypassed[:, kept:]], 1)


def block(weights, name, xs, kind, stride, bypass, residual, squeeze):
    widths = [(g[name + "_width"], g[name + "_expand"], g.get(name + "_kernel")) for g in GROUPS]

    def each(function, values):
        return [function(v, w) if w[0] else None for v, w in zip(values, widths)]

    z = each(lambda x, w: convolve(x, weights[name + ".conv_pw.weight"], w[1]), xs)
    a = each(lambda y, w: activation(kind, y), shared_norm(weights, name + ".bn1", z))
    depthwise = weights[name + ".conv_dw.weight"]
    z = each(lambda x, w: convolve(x, depthwise, w[1], w[2], stride, True), a)
    a = each(lambda y, w: activation(kind, y), shared_norm(weights, name + ".bn2", z))
    if squeeze:
        a = each(lambda v, w: squeeze_excite(weights, v), a)
    z = each(lambda x, w: convolve(x, weights[name + ".conv_pwl.weight"], w[0]), a)
    y = shared_norm(weights, name + ".bn3", z)
    if stride == 2:
        xs = [F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in xs]
    return [combine(v, x, bypass, residual) for v, x in zip(y, xs)]


def run(weights, pictures, labels, image_weights):
    x = (pictures.double().permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    parts = list(x.split(IMAGES))
    z = [convolve(p, weights["stem.weight"], g["stem"]) for p, g in zip(parts, GROUPS)]
    a = [activation("hard", y) for y in shared_norm(weights, "stem.bn", z)]
    a = block(weights, "mix", a, "hard", 1, MIX_BYPASS, True, True)
    a = block(weights, "down", a, "relu6", 2, DOWN_BYPASS, False, False)
    logits = torch.cat([F.linear(v.mean((2, 3)), weights["classifier.weight"][:, :v.shape[1]],
                                 weights["classifier.bias"]) for v in a])
    losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=SMOOTHING)
    (losses * image_weights).mean().backward()
    return logits.detach(), losses.detach()


def draw(seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    weights = {}
    for name, shape in SHAPES.items():
        if len(shape) > 1:
            fan_in = torch.Size(shape[1:]).numel()
            weights[name] = normal(shape) * (2 / fan_in) ** 0.5
        else:
            weights[name] = 0.3 * normal(shape) + (1 if "bn" in name and "weight" in name else 0)
    images = IMAGES * len(GROUPS)
    pictures = torch.randint(0, 256, (images, HEIGHT, WIDTH, CHANNELS), generator=generator)
    labels = torch.randint(0, CLASSES, (images,), generator=generator)
    image_weights = torch.rand(images, generator=generator) + 0.5
    return weights, pictures, labels, image_weights


def step(seed):
    """Inputs are float32 numbers, so that the file holds exactly what was computed with."""
    kinks.clear()
    weights, pictures, labels, image_weights = draw(seed)
    doubles = {name: w.double().requires_grad_() for name, w in weights.items()}
    logits, losses = run(doubles, pictures, labels, image_weights.double())
    tensors = {"labels": ("I64", labels), "logits": ("F64", logits), "losses": ("F64", losses)}
    for name, weight in doubles.items():
        tensors["gradient." + name] = ("F64", weight.grad)
    for name, weight in weights.items():
        tensors[name] = ("F32", weight)
    tensors["image_weights"] = ("F32", image_weights)
    tensors["pictures"] = ("U8", pictures)
    return tensors


def write(path, tensors):
    codes = {"F32": "f", "F64": "d", "I64": "q", "U8": "B"}
    header = {"__metadata__": {"made_by": "make_vectors.py, PyTorch " + torch.__version__}}
    data = b""
    for name, (kind, tensor) in tensors.items():
        values = array.array(codes[kind], tensor.flatten().tolist()).tobytes()
        header[name] = dict(dtype=kind, shape=list(tensor.shape),
                            data_offsets=[len(data), len(data) + len(values)])
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    # A kink that rounding could cross would compare two different derivatives.
    seed = 0
    tensors = step(seed)
    while min(kinks) < 2e-5:
        seed += 1
        tensors = step(seed)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors",
                        "shared_norm.safetensors")
    write(path, tensors)
    print(f"{path}: seed {seed}, nearest kink {min(kinks):.1e}", file=sys.stderr)


main()
