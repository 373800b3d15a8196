"""ONNX operators as torch functions with a gradient: what a network read from a graph computes.

`OPERATORS` maps an operator to a function of a node's attributes and its inputs, in their order; an
input that a node leaves out is None. To train networks with one more operator, add its function.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

Attributes = Mapping[str, Any]
Values = torch.Tensor | tuple[torch.Tensor, ...]
Operator = Callable[..., Values]


def _conv(
    said: Attributes, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    rank = weight.ndim - 2
    strides, dilations = (said.get(key, [1] * rank) for key in ("strides", "dilations"))
    pads = _pads(said, x, weight.shape[2:], strides, dilations)
    if pads[:rank] == pads[rank:]:
        padding: Any = pads[:rank]
    else:
        x, padding = F.pad(x, _torch_pads(pads)), [0] * rank
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    return convolve(x, weight, bias, strides, padding, dilations, said.get("group", 1))


def _pads(
    said: Attributes, x: torch.Tensor, kernel: Any, strides: Any, dilations: Any
) -> list[int]:
    """What is put around each axis: at all their beginnings, then at all their ends."""
    auto = said.get("auto_pad", b"NOTSET").decode()
    if not auto.startswith("SAME"):
        none = [0] * 2 * len(kernel)
        return list(said.get("pads", none)) if auto == "NOTSET" else none
    sizes = zip(x.shape[2:], kernel, strides, dilations, strict=True)
    totals = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n) for n, k, s, d in sizes]
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return small + large if auto == "SAME_UPPER" else large + small


def _torch_pads(pads: list[int]) -> list[int]:
    """Torch wants beginning and end of the last axis first."""
    rank = len(pads) // 2
    return [pads[side * rank + axis] for axis in reversed(range(rank)) for side in (0, 1)]


def _gemm(
    said: Attributes, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor | None = None
) -> torch.Tensor:
    a = a.t() if said.get("transA", 0) else a
    b = b.t() if said.get("transB", 0) else b
    product = said.get("alpha", 1.0) * (a @ b) if said.get("alpha", 1.0) != 1 else a @ b
    return product if c is None else product + said.get("beta", 1.0) * c


def _clip(
    said: Attributes,
    x: torch.Tensor,
    low: torch.Tensor | None = None,
    high: torch.Tensor | None = None,
) -> torch.Tensor:
    del said
    return x.clamp(low, high) if low is not None or high is not None else x


def _hard_sigmoid(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    alpha, beta = float(said.get("alpha", 0.2)), float(said.get("beta", 0.5))
    return (alpha * x + beta).clamp(0, 1)


def _gelu(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate=said.get("approximate", b"none").decode())


def _batch_norm(said: Attributes, x: torch.Tensor, *parts: torch.Tensor) -> torch.Tensor:
    scale, bias, mean, variance = parts
    return F.batch_norm(x, mean, variance, scale, bias, eps=said.get("epsilon", 1e-5))


def _layer_norm(
    said: Attributes, x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    shape = x.shape[said.get("axis", -1) :]
    return F.layer_norm(x, list(shape), scale, bias, said.get("epsilon", 1e-5))


def _max_pool(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    kernel = said["kernel_shape"]
    ones = [1] * len(kernel)
    strides, dilations = said.get("strides", ones), said.get("dilations", ones)
    pads = _pads(said, x, kernel, strides, dilations)
    padding, rank = pads[: len(kernel)], len(kernel)
    if pads[:rank] != pads[rank:] or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        x, padding = F.pad(x, _torch_pads(pads), value=-torch.inf), [0] * rank
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    ceiling = bool(said.get("ceil_mode", 0))
    found: torch.Tensor = pool(x, kernel, strides, padding, dilations, ceil_mode=ceiling)
    return found


def _average_pool(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    kernel = said["kernel_shape"]
    ones, rank = [1] * len(kernel), len(kernel)
    strides = said.get("strides", ones)
    pads = _pads(said, x, kernel, strides, ones)
    counted = bool(said.get("count_include_pad", 0))
    padding = pads[:rank]
    if padding != pads[rank:]:
        x, padding = F.pad(x, _torch_pads(pads)), [0] * rank
    ceiling = bool(said.get("ceil_mode", 0))
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
    return pool(x, kernel, strides, padding, ceiling, counted)


def _global_average_pool(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    del said
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def _reduce_mean(
    said: Attributes, x: torch.Tensor, axes: torch.Tensor | None = None
) -> torch.Tensor:
    chosen = said.get("axes") if axes is None else axes.tolist()
    if not chosen and said.get("noop_with_empty_axes", 0):
        return x
    return x.mean(dim=chosen or tuple(range(x.ndim)), keepdim=bool(said.get("keepdims", 1)))


def _flatten(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    axis = said.get("axis", 1) % (x.ndim + 1)
    return x.reshape(x.shape[:axis].numel(), -1)


def _reshape(said: Attributes, x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    wanted = shape.tolist()
    if not said.get("allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


def _transpose(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    return x.permute(said.get("perm") or tuple(reversed(range(x.ndim))))


def _squeeze(said: Attributes, x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    del said
    return x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))


def _unsqueeze(said: Attributes, x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    del said
    rank = x.ndim + axes.numel()
    for axis in sorted(axis % rank for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _concat(said: Attributes, *parts: torch.Tensor) -> torch.Tensor:
    return torch.cat(parts, dim=said["axis"])


def _split(
    said: Attributes, x: torch.Tensor, sizes: torch.Tensor | None = None
) -> tuple[torch.Tensor, ...]:
    axis = said.get("axis", 0)
    if sizes is not None:
        return torch.split(x, sizes.tolist(), dim=axis)
    return torch.split(x, -(-x.shape[axis] // said["num_outputs"]), dim=axis)


def _slice(
    said: Attributes,
    x: torch.Tensor,
    starts: torch.Tensor,
    ends: torch.Tensor,
    axes: torch.Tensor | None = None,
    steps: torch.Tensor | None = None,
) -> torch.Tensor:
    del said
    first, last = starts.tolist(), ends.tolist()
    along = list(range(len(first))) if axes is None else axes.tolist()
    strides = [1] * len(first) if steps is None else steps.tolist()
    taken = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        taken[axis] = slice(start, end, step)
    return x[tuple(taken)]


def _gather(said: Attributes, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    axis = said.get("axis", 0) % x.ndim
    wrapped = torch.where(indices < 0, indices + x.shape[axis], indices)
    found = x.index_select(axis, wrapped.reshape(-1))
    return found.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _shape(said: Attributes, x: torch.Tensor) -> torch.Tensor:
    return torch.tensor(list(x.shape)[said.get("start", 0) : said.get("end")])


def _plain(function: Callable[..., torch.Tensor]) -> Operator:
    """An operator without attributes."""
    return lambda _, *inputs: function(*inputs)


OPERATORS: Mapping[str, Operator] = {
    "Add": _plain(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _plain(torch.div),
    "Erf": _plain(torch.erf),
    "Expand": _plain(lambda x, shape: x * x.new_ones(shape.tolist())),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Identity": _plain(lambda x: x),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda said, x: F.leaky_relu(x, said.get("alpha", 0.01)),
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _plain(torch.mul),
    "PRelu": _plain(lambda x, slope: torch.where(x < 0, slope * x, x)),
    "Range": _plain(lambda start, end, step: torch.arange(*(v.item() for v in (start, end, step)))),
    "ReduceMean": _reduce_mean,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda said, x: x.softmax(said.get("axis", -1)),
    "Split": _split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
