import pytest


@pytest.fixture(autouse=True)
def _quiet(quiet_datasets: None) -> None:
    """Every test here makes data sets."""
