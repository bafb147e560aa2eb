from __future__ import annotations

import pytest
import torch
from torch import nn

from video_colbert.encoding.passes import row_scaled_int8
from video_colbert.encoding.passes.row_scaled_int8 import RowScaledInt8Linear, can_compute_int8, with_int8_layers

pytestmark = pytest.mark.skipif(not can_compute_int8(), reason="torch multiplies integers of 8 bits on x86 only")


def layer(inputs: int = 96, outputs: int = 40, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs, bias=bias)


@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_of_the_rounded_numbers(bias: bool) -> None:
    linear = layer(bias=bias)
    rows = torch.randn(3, 5, 96) * torch.tensor([0.01, 1.0, 100.0])[:, None, None] + 0.3
    with torch.inference_mode():
        found = RowScaledInt8Linear(linear)(rows)
    # The same in float64, from the definition.
    weight, given = linear.weight.detach().double(), rows.double()
    steps = weight.abs().amax(1, keepdim=True) / row_scaled_int8._weight_steps()
    low, high = given.amin(-1, keepdim=True), given.amax(-1, keepdim=True)
    rounded = low + ((given - low) / (high - low) * 255).round() / 255 * (high - low)
    expected = rounded @ ((weight / steps).round() * steps).T
    if bias:
        expected = expected + linear.bias.detach().double()
    size = expected.abs().amax((1, 2), keepdim=True)
    # A value that lies between two steps may be rounded to either.
    assert ((found - expected).abs() / size).max() < 2e-3
    assert ((found - expected).abs() / size).mean() < 1e-4
    assert nn.functional.cosine_similarity(found, linear(rows), dim=-1).min() > 0.999


def test_the_largest_sums_do_not_overflow() -> None:
    linear = layer(512, 8, bias=False)
    with torch.no_grad():
        linear.weight.fill_(1.0)
        linear.weight[4:] = -1.0
    rows = torch.ones(2, 512)
    rows[:, 0] = -1.0
    with torch.inference_mode():
        found = RowScaledInt8Linear(linear)(rows)
    torch.testing.assert_close(found, linear(rows).detach(), rtol=1e-4, atol=0)


def test_weights_have_fewer_steps_where_sums_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    row_scaled_int8._weight_steps.cache_clear()
    exact = row_scaled_int8._multiplied
    monkeypatch.setattr(row_scaled_int8, "_multiplied", lambda rows, packed: exact(rows, packed) / 2)
    assert row_scaled_int8._weight_steps() == 63
    row_scaled_int8._weight_steps.cache_clear()
    monkeypatch.undo()
    assert row_scaled_int8._weight_steps() in (63, 127)


def test_a_row_is_the_same_whatever_stands_beside_it() -> None:
    quantized = RowScaledInt8Linear(layer())
    rows = torch.randn(64, 96)
    with torch.inference_mode():
        alone = torch.cat([quantized(row[None]) for row in rows])
        assert torch.equal(quantized(rows), alone)
        assert torch.equal(quantized(torch.cat([rows, 1e4 * rows]))[:64], alone)


def test_a_row_of_one_value_is_exact_and_what_is_not_finite_stays_so() -> None:
    linear = layer()
    with torch.inference_mode():
        quantized = RowScaledInt8Linear(linear)
        same = torch.full((1, 96), 0.5)
        torch.testing.assert_close(quantized(same), linear(same), atol=2e-2, rtol=0)
        assert not torch.isfinite(quantized(torch.full((1, 96), torch.nan))).any()


def test_only_plain_layers_are_replaced() -> None:
    module = nn.ModuleDict(
        {"plain": layer(8, 8), "out_proj": layer(8, 8), "attention": nn.MultiheadAttention(8, 2, batch_first=True)}
    )
    with_int8_layers(module)
    assert isinstance(module["plain"], RowScaledInt8Linear)
    assert isinstance(module["out_proj"], nn.Linear)
    rows = torch.randn(2, 3, 8)
    with torch.inference_mode():
        assert module["attention"](rows, rows, rows)[0].shape == (2, 3, 8)


def test_the_widening_layer_of_the_last_block_alone_stays_as_it_is() -> None:
    blocks = nn.Sequential(*(nn.ModuleDict({"fc1": layer(8, 16), "fc2": layer(16, 8)}) for _ in range(3)))
    with_int8_layers(blocks)
    kinds = [[type(block[name]) for name in ("fc1", "fc2")] for block in blocks]
    integers = RowScaledInt8Linear
    assert kinds == [[integers, integers], [integers, integers], [nn.Linear, integers]]
