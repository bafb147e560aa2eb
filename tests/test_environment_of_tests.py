"""A test leaves the environment of its process as it found it, so none depends on those before it."""

import os

import pytest


@pytest.mark.parametrize("time", ["first", "second"])
def test_what_a_test_does_to_the_environment_ends_with_it(time: str) -> None:
    assert "SET_BY_A_TEST" not in os.environ
    assert os.environ.pop("PATH")
    os.environ["SET_BY_A_TEST"] = time
