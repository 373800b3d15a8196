"""Rounding as the integer file does it, with a gradient: what a quantised network learns through.

Rounding has no gradient of its own. What is within reach lets the gradient through as it is; an
activation that was cut off lets none through (straight-through estimator; Bengio, Leonard &
Courville 2013, arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877).
"""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from compress_export.quantizers.pair_projection import round_rows
from compress_export.quantizers.pair_safe import Weight

LEVELS = 255  # of uint8


class _Activation(torch.autograd.Function):
    """torch's own, torch.fake_quantize_per_tensor_affine, takes four times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, scale: float, zero_point: int) -> torch.Tensor:
        ctx.save_for_backward(values)
        # beyond half a step from the ends a value is cut off, not rounded
        ctx.reach = (-(zero_point + 0.5) * scale, (LEVELS + 0.5 - zero_point) * scale)
        steps = values.div(scale).round_()
        return steps.clamp_(-zero_point, LEVELS - zero_point).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (values,) = ctx.saved_tensors
        low, high = ctx.reach
        # the gradient of a clamp, in one pass
        passed = torch.ops.aten.hardtanh_backward(grads[0], values, low, high)
        return passed, None, None


class _StraightThrough(torch.autograd.Function):
    """The rounded values forward, the gradient unchanged backward."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        del ctx, values
        return rounded

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        del ctx
        return grads[0], None


def fake_quantize(values: torch.Tensor, scale: float, zero_point: int) -> torch.Tensor:
    """What a QuantizeLinear and its DequantizeLinear leave of activations, asymmetric uint8.

    scale * clamp(round(x / scale), -zero_point, 255 - zero_point), halves to even. The gradient
    passes where nothing is cut off.

    Args:
        values: float32, any shape.
        scale: of one step, above 0.
        zero_point: the integer that means 0, 0 to 255.
    """
    return cast("torch.Tensor", _Activation.apply(values, scale, zero_point))


class Learnt(nn.Module):
    """A constant of the float core that learns as it is.

    Attributes:
        name: of the core's constant.
        latent: in float; what is updated.
    """

    def __init__(self, name: str, values: np.ndarray[Any, Any]) -> None:
        """Begin with the core's values."""
        super().__init__()
        self.name = name
        self.latent = nn.Parameter(torch.from_numpy(np.array(values, dtype=np.float32)))

    def forward(self) -> torch.Tensor:
        """What the layer computes with, in the shape of `latent`."""
        return self.latent


class FakeQuantizeWeight(Learnt):
    """A weight that the file holds as int8 with a scale for each output channel.

    Its integers are made by the exporter's own rule: rounded, cut at +-127, and taken back where
    two adjacent ones could overflow 16 bits. A weight at its bound can so come back.

    Attributes:
        weight: how the layer reads it.
        scales: per output channel, float32 [O]; they do not learn.
    """

    def __init__(self, weight: Weight, scales: np.ndarray[Any, Any]) -> None:
        """Begin with the weight as it is in the core."""
        super().__init__(weight.name, weight.values)
        self.weight = weight
        self.scales = np.asarray(scales, dtype=np.float32)

    def forward(self) -> torch.Tensor:
        """Whole multiples of the scales; the gradient reaches `latent` unchanged."""
        rounded = torch.from_numpy(np.ascontiguousarray(self.rounded()))
        return cast("torch.Tensor", _StraightThrough.apply(self.latent, rounded))

    def rounded(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The values that the file will hold: integers times scales, float32."""
        latent = replace(self.weight, values=self.latent.detach().numpy())
        rows = np.ascontiguousarray(latent.rows(), dtype=np.float32)
        integers = round_rows(rows, self.scales, self.weight.exempt)
        return latent.from_rows(integers * self.scales[:, None])


class FakeQuantizeBias(Learnt):
    """A bias that the file holds as int32, in steps of input scale times weight scale.

    Attributes:
        scales: per output channel, float32 [O].
    """

    def __init__(
        self, name: str, values: np.ndarray[Any, Any], scales: np.ndarray[Any, Any]
    ) -> None:
        """Begin with the bias as it is in the core."""
        super().__init__(name, values)
        self.scales: torch.Tensor
        self.register_buffer("scales", torch.from_numpy(np.array(scales)), persistent=False)

    def forward(self) -> torch.Tensor:
        """Whole multiples of the scales; the gradient reaches `latent` unchanged."""
        with torch.no_grad():
            rounded = self.latent.div(self.scales).round_().mul_(self.scales)
        return cast("torch.Tensor", _StraightThrough.apply(self.latent, rounded))


class Fixed(nn.Module):
    """A constant that does not learn."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        """Keep the values; they are part of the graph, not of a saved state."""
        super().__init__()
        self.values: torch.Tensor
        self.register_buffer("values", torch.from_numpy(np.array(values)), persistent=False)

    def forward(self) -> torch.Tensor:
        """The values."""
        return self.values
