"""Linear layers of 8-bit integers, with a scale of its own for each row of their input.

A scale for the whole input, as dynamic quantization has it elsewhere, makes a frame's vector depend on the frames that
it is encoded with. Sums of integers are exact, so here a row's result depends on that row alone.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
from torch import Tensor, nn

_ENGINE = "fbgemm"
_PRODUCT = "linear_with_input_q_dq_qweight_dq_output_fp32"
_INPUT_STEPS = 255
_WEIGHT_STEPS = 127
# Processors without instructions for 8-bit products add two of them in 16 bits, of which 255 x 63 x 2 is within.
_FEWER_WEIGHT_STEPS = 63
# Names of the layers through which attention passes on what it found. Heads differ in size, so that one scale for all
# serves the smaller ones badly: these layers are a sixth of a tower, and were two thirds of its error.
_STAY_FLOAT = ("v_proj", "out_proj")
# The layer that widens a block. The last one stays float as well: what it gets wrong, no later block evens out.
_LAST_STAYS_FLOAT = "fc1"
_SMALLEST_RANGE = 1e-12


def can_compute_int8() -> bool:
    """Whether torch has the integer products here; it has them on x86 processors."""
    return _ENGINE in torch.backends.quantized.supported_engines and hasattr(torch.ops.quantized, _PRODUCT)


def with_int8_layers(module: nn.Module) -> None:
    """Puts integers into the linear layers of a module, in place.

    Args:
        module: float32, on the CPU. Layers whose weights are read by what contains them stay as they are, and so do
            the values and the output of attention, and the first layer of the last block's perceptron.
    """
    plain = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        # A subclass may be used in other ways than by calling it.
        if type(child) is nn.Linear and name not in _STAY_FLOAT
    ]
    last = [child for _, name, child in plain if name == _LAST_STAYS_FLOAT][-1:]
    for parent, name, child in plain:
        if child not in last:
            setattr(parent, name, RowScaledInt8Linear(child))


class RowScaledInt8Linear(nn.Module):
    """A linear layer whose inputs are integers of 8 bits by row, and whose weights are of 7 or 8 by output.

    A row x is written as low + range * q / 255 with its own low and range, so that x W^T is
    range * (q / 255) W^T + low * sum(W).

    Args:
        linear: float32, on the CPU.
    """

    sums: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        steps = _weight_steps()
        scales = weight.abs().amax(1).clamp_min(_SMALLEST_RANGE) / steps
        self._packed, integers = _packed(weight, scales)
        self.register_buffer("sums", integers.sum(1).float() * scales, persistent=False)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach(), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Multiplies `[..., in]` float32 rows by the weights: `[..., out]` float32."""
        flat = rows.reshape(-1, rows.shape[-1])
        low = flat.amin(1, keepdim=True)
        extent = (flat.amax(1, keepdim=True) - low).clamp_min_(_SMALLEST_RANGE)
        products = _multiplied((flat - low).div_(extent), self._packed)
        products.mul_(extent).addcmul_(low, self.sums)
        if self.bias is not None:
            products.add_(self.bias)
        return products.view(*rows.shape[:-1], -1)


@functools.cache
def _weight_steps() -> int:
    """How many steps weights have on each side of zero: as many as this processor adds up exactly."""
    rows, weight = torch.ones(1, 64), torch.ones(16, 64)
    packed, _ = _packed(weight, torch.full((16,), 1 / _WEIGHT_STEPS))
    is_exact = torch.allclose(_multiplied(rows, packed), rows @ weight.T, rtol=1e-4)
    return _WEIGHT_STEPS if is_exact else _FEWER_WEIGHT_STEPS


def _packed(weight: Tensor, scales: Tensor) -> tuple[Any, Tensor]:
    """Weights [out, in] as integers of scales [out], packed for the products, and the integers."""
    with warnings.catch_warnings():
        # Of these constructors torch says that they are to go, and has no other yet for these products.
        warnings.simplefilter("ignore", UserWarning)
        zeros = torch.zeros(len(scales), dtype=torch.long)
        integers = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = _ENGINE
    try:
        return torch.ops.quantized.linear_prepack(integers, None), integers.int_repr()
    finally:
        torch.backends.quantized.engine = engine


def _multiplied(rows: Tensor, packed: Any) -> Tensor:
    """Rows [N, in] of 0 to 1 by packed weights: [N, out] float32."""
    products: Tensor = getattr(torch.ops.quantized, _PRODUCT)(rows, 1 / _INPUT_STEPS, 0, packed)
    return products
