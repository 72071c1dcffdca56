"""The peers' networks in PyTorch, with ordered dropout as masks over the full computation.

A searchable width is a block's expansion (the depthwise convolution follows it) or its projection.
Each image keeps a prefix of the channels; the rest is multiplied by zero after batch-norm and
activation. Batch-norm takes its statistics over the whole batch, as PyTorch does. What makes the
peer cheaper than the method asks for is left so: a dropped channel of a block without a residual
connection stays zero instead of taking the input's channel, and stem and head keep their widths.
"""
import typing

import torch
import torch.nn as nn
import torch.nn.functional as F


class Row(typing.NamedTuple):
    """One inverted-residual block."""
    kernel: int
    expand: int
    width: int
    squeeze: bool
    activation: str
    stride: int


class Description(typing.NamedTuple):
    size: int            # of the square picture
    classes: int
    stem: int
    stem_stride: int
    activation: str      # of stem, head and hidden layer
    rows: tuple
    head: int            # 0: the classifier follows the last block
    hidden: int
    width_step: int      # kept widths are quarters, rounded to a multiple of this


NET_S = Description(
    size=32, classes=10, stem=16, stem_stride=1, activation="relu6", head=0, hidden=0,
    width_step=1,
    rows=tuple(Row(kernel, expand, width, False, "relu6", stride)
               for width, expand, kernel, stride in (
                   (16, 48, 3, 1), (16, 48, 3, 2), (24, 64, 5, 1), (24, 72, 3, 2),
                   (32, 72, 5, 1), (32, 96, 3, 1), (32, 96, 5, 1), (32, 96, 3, 2))))

MOBILENET_V3_LARGE = Description(
    size=224, classes=1000, stem=16, stem_stride=2, activation="hard_swish", head=960,
    hidden=1280, width_step=8,
    rows=(Row(3, 16, 16, False, "relu", 1),
          Row(3, 64, 24, False, "relu", 2), Row(3, 72, 24, False, "relu", 1),
          Row(5, 72, 40, True, "relu", 2), Row(5, 120, 40, True, "relu", 1),
          Row(5, 120, 40, True, "relu", 1),
          Row(3, 240, 80, False, "hard_swish", 2), Row(3, 200, 80, False, "hard_swish", 1),
          Row(3, 184, 80, False, "hard_swish", 1), Row(3, 184, 80, False, "hard_swish", 1),
          Row(3, 480, 112, True, "hard_swish", 1), Row(3, 672, 112, True, "hard_swish", 1),
          Row(5, 672, 160, True, "hard_swish", 2), Row(5, 960, 160, True, "hard_swish", 1),
          Row(5, 960, 160, True, "hard_swish", 1)))

DESCRIPTIONS = {"s": NET_S, "mobilenet-v3-large": MOBILENET_V3_LARGE}


def activate(x, name):
    """In place where autograd needs no copy of the input for that."""
    if name == "relu":
        return F.relu(x, inplace=True)
    if name == "relu6":
        return F.relu6(x, inplace=True)
    return F.hardswish(x)


def squeeze_width(expand):
    nearest = max(8, (expand // 4 + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * expand / 4 else nearest


class ConvolutionNorm(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups,
                                     bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.norm(self.convolution(x))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Linear(channels, squeeze_width(channels))
        self.expand = nn.Linear(squeeze_width(channels), channels)

    def forward(self, x):
        gate = F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class Block(nn.Module):
    """`mask_widths` is the list of the network's searchable widths; the block adds its own."""

    def __init__(self, inputs, row, mask_widths):
        super().__init__()
        self.activation = row.activation
        self.residual = inputs == row.width and row.stride == 1
        self.expand = self.expand_mask = self.squeeze = None
        if row.expand != inputs:
            self.expand = ConvolutionNorm(inputs, row.expand, 1)
            self.expand_mask = len(mask_widths)
            mask_widths.append(row.expand)
        self.depthwise = ConvolutionNorm(row.expand, row.expand, row.kernel, row.stride, row.expand)
        if row.squeeze:
            self.squeeze = SqueezeExcite(row.expand)
        self.project = ConvolutionNorm(row.expand, row.width, 1)
        self.project_mask = len(mask_widths)
        mask_widths.append(row.width)

    def forward(self, x, masks):
        mask = None if masks is None or self.expand_mask is None else masks[self.expand_mask]
        h = x
        if self.expand is not None:
            h = activate(self.expand(h), self.activation)
            h = h if mask is None else h * mask
        h = activate(self.depthwise(h), self.activation)
        h = h if mask is None else h * mask
        if self.squeeze is not None:
            h = self.squeeze(h)
        y = self.project(h)
        y = y if masks is None else y * masks[self.project_mask]
        return y + x if self.residual else y


class Network(nn.Module):
    def __init__(self, description):
        super().__init__()
        self.activation = description.activation
        self.mask_widths = []
        self.stem = ConvolutionNorm(3, description.stem, 3, description.stem_stride)
        channels, blocks = description.stem, []
        for row in description.rows:
            blocks.append(Block(channels, row, self.mask_widths))
            channels = row.width
        self.blocks = nn.ModuleList(blocks)
        self.head = self.hidden = None
        if description.head:
            self.head = ConvolutionNorm(channels, description.head, 1)
            self.hidden = nn.Linear(description.head, description.hidden)
            channels = description.hidden
        self.classifier = nn.Linear(channels, description.classes)

    def forward(self, x, masks=None):
        h = activate(self.stem(x), self.activation)
        for block in self.blocks:
            h = block(h, masks)
        if self.head is not None:
            h = activate(self.head(h), self.activation)
        h = h.mean((2, 3))
        if self.hidden is not None:
            h = activate(self.hidden(h), self.activation)
        return self.classifier(h)


class Masks:
    """All masks of a step come from three operations, whatever the number of layers."""

    def __init__(self, widths, width_step, device, dtype):
        def quarter(width, count):
            return max(width_step, int(width * count / 4 / width_step + 0.5) * width_step)

        self.widths, self.device, self.dtype = widths, device, dtype
        self.options = torch.tensor([[quarter(w, n) for n in (1, 2, 3, 4)] for w in widths])
        self.layer = torch.cat([torch.full((w,), i) for i, w in enumerate(widths)]).to(device)
        self.channel = torch.cat([torch.arange(w) for w in widths]).to(device)

    def draw(self, images, groups):
        """Kept channels [images, layers]: every group of neighbouring images one sub-network."""
        choice = torch.randint(0, 4, (len(self.widths), groups))
        kept = self.options.gather(1, choice).t()
        return kept.repeat_interleave(images // groups, dim=0).contiguous().to(self.device)

    def build(self, kept):
        flat = (self.channel < kept[:, self.layer]).to(self.dtype)
        return [part[:, :, None, None] for part in flat.split(self.widths, dim=1)]
