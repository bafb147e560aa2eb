"""Marks of tests that run on a GPU: with `make test-gpu`, for otherwise no test sees one."""

import pytest

needs_gpu = pytest.mark.gpu
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]
