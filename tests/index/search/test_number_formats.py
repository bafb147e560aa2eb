from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from video_colbert.index.search import number_formats
from video_colbert.index.search.number_formats import FloatFormat, Int8Format, fastest_format, number_format, restored

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["int8", "bfloat16", "float16", "float32"])
def test_products_are_those_of_the_stored_vectors(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens, queries = torch.randn(50, 72, generator=generator), torch.randn(7, 72, generator=generator)
    chosen = number_format(name)
    scales = [chosen.scales(vectors) for vectors in (tokens, queries)]
    values = [chosen.values(vectors, each) for vectors, each in zip((tokens, queries), scales, strict=True)]
    stored = [restored(*each) for each in zip(values, scales, strict=True)]
    found = chosen.products(*values).double()
    if scales[0] is not None:
        assert scales[1] is not None
        found = found * torch.outer(*scales).double()
    expected = stored[0].double() @ stored[1].double().T
    assert found.numpy() == pytest.approx(expected.numpy(), abs=72 * (chosen.rounding + 1e-6))
    assert stored[0].numpy() == pytest.approx(tokens.numpy(), abs=0.02)


def test_int8_uses_the_whole_range_and_stores_zeros() -> None:
    vectors = torch.tensor([[0.0, 0.5, -1.0], [0.0, 0.0, 0.0]])
    scales = Int8Format().scales(vectors)
    values = Int8Format().values(vectors, scales)
    assert values.tolist() == [[0, 64, -127], [0, 0, 0]]
    assert restored(values, scales)[1].tolist() == [0.0, 0.0, 0.0]


def test_a_format_that_saturates_or_is_missing_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Saturating(Int8Format):
        def products(self, tokens: Tensor, queries: Tensor) -> Tensor:
            return (tokens.float() @ queries.float().T).clamp(-32768, 32767)

    class Missing(Int8Format):
        def products(self, tokens: Tensor, queries: Tensor) -> Tensor:
            raise RuntimeError("not implemented for 'Char'")

    assert not number_formats.is_correct(Saturating(), CPU)
    assert not number_formats.is_correct(Missing(), CPU)
    single = FloatFormat(torch.float32)
    monkeypatch.setattr(number_formats, "_FORMATS", (Saturating(), Missing(), single))
    fastest_format.cache_clear()
    assert fastest_format(CPU) is single
    fastest_format.cache_clear()


def test_fastest_format_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path))
    seconds = {"int8": 3.0, "bfloat16": 1.0, "float16": 4.0, "float32": 2.0}
    tried = []

    def timed(candidate: number_formats.NumberFormat, device: torch.device) -> float:
        tried.append(candidate.name)
        return seconds[candidate.name]

    monkeypatch.setattr(number_formats, "_seconds", timed)
    fastest_format.cache_clear()
    assert fastest_format(CPU).name == "bfloat16"
    assert fastest_format(CPU).name == "bfloat16"
    assert len(tried) == len(set(tried))
    fastest_format.cache_clear()


def test_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match=r"must be one of int8, .*float32; got 'int3'"):
        number_format("int3")
