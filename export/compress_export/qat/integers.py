"""A layer as the integer kernels compute it: for evaluation, where its sums are exact.

In training a layer multiplies floats. Their sums differ from the integer ones in the last bits, and
where that moves a value over the half between two steps, a deep network of bad ranges makes much of
it. Whole numbers below 2^24 are exact in float32, so that no order of summation matters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from compress_export.qat.operators import Attributes, Values


@dataclass(frozen=True, kw_only=True)
class IntegerLayer:
    """A Conv, Gemm or MatMul of quantised activations with a quantised weight.

    Attributes:
        function: of the operator.
        said: the node's attributes.
        input_scale: of the activations.
        weight_scales: per output channel, float32 [O].
        weight_axis: of the output channels in the weight.
        output_axis: of the channels in the output.
        output_scale: of the quantiser that alone reads the output; None where there is none.
    """

    function: Callable[..., Values]
    said: Attributes
    input_scale: float
    weight_scales: torch.Tensor
    weight_axis: int
    output_axis: int
    output_scale: float | None

    def __call__(
        self, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> Values:
        """The layer's output in float; where no gradient is wanted, exactly the kernel's.

        Args:
            inputs: multiples of `input_scale`.
            weight: multiples of `weight_scales`.
            bias: multiples of their product, [O]; or None.
        """
        biases = () if bias is None else (bias,)
        if torch.is_grad_enabled():
            return self.function(self.said, inputs, weight, *biases)
        steps = self.weight_scales * self.input_scale
        shape = [1] * weight.ndim
        shape[self.weight_axis] = -1
        sums = self.function(
            self.said,
            inputs.div(self.input_scale).round_(),
            weight.div(self.weight_scales.reshape(shape)).round_(),
            *(whole.div(steps).round_() for whole in biases),
        )
        assert isinstance(sums, torch.Tensor)
        shape = [1] * sums.ndim
        shape[self.output_axis] = -1
        if self.output_scale is None:
            return sums.mul_(steps.reshape(shape))
        # by one factor, as kernels do; what follows finds whole steps
        return (
            sums.mul_((steps / self.output_scale).reshape(shape)).round_().mul_(self.output_scale)
        )
