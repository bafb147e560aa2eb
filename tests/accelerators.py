"""Marks of tests that run on a GPU: with `make test-gpu`, for otherwise no test sees one."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

_Test = TypeVar("_Test", bound=Callable[..., None])

_MARKS = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))
DEVICES = ["cpu", pytest.param("cuda", marks=_MARKS)]


def needs_gpu(test: _Test) -> _Test:
    """Marks a test that runs on a GPU only."""
    for mark in _MARKS:
        test = mark(test)
    return test
