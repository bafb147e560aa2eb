"""The common tests of transformers' own models and processors, of the release that is installed.

They come from its source distribution, which `fetch_common_tests.py` unpacks into an ignored folder. What it leaves
out (tests of export and of generation, a map of addresses to local copies) is stood in for by empty classes.
"""

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import transformers

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / ".transformers-tests" / transformers.__version__
"""Where the tests of the installed release are."""

_PACKAGE = "transformers_common_tests"


class Reason(NamedTuple):
    """Why a common test is not passed.

    Attributes:
        result: `"not applicable"`, or `"not run"` where something is missing that another machine may have.
        why: One sentence.
    """

    result: str
    why: str


@cache
def table_of_reasons() -> dict[str, Reason]:
    """Reads the reasons from the table in `docs/transformers_tests.md`.

    Returns:
        By pattern of `"Class::test"`.

    Raises:
        ValueError: A row has another result than the two.
    """
    reasons = {}
    for line in (REPOSITORY / "docs" / "transformers_tests.md").read_text().splitlines():
        if not line.startswith("| `"):
            continue
        owner, tests, result, why = (cell.strip() for cell in line.strip("|").split("|"))
        if result not in ("not applicable", "not run"):
            raise ValueError(f"docs/transformers_tests.md has the result {result!r} for {tests}")
        for test in tests.split(","):
            reasons[f"{owner.strip('`')}::{test.strip(' `')}"] = Reason(result, why)
    return reasons


def common_test(module: str, name: str) -> Any:
    """Returns a class of one of transformers' common tests.

    Args:
        module: Its file, such as `"test_modeling_common"`.
        name: Of the class.
    """
    if _PACKAGE not in sys.modules:
        package = _module(_PACKAGE)
        package.__path__ = [str(FOLDER)]
        for folder in ("exporters", "generation"):
            _module(f"{_PACKAGE}.{folder}").__path__ = []
        _module(f"{_PACKAGE}.exporters.test_export").ExportTesterMixin = type("ExportTesterMixin", (), {})  # type: ignore[attr-defined]
        generation = _module(f"{_PACKAGE}.generation.test_utils")
        generation.GenerationTesterMixin = type("GenerationTesterMixin", (), {})  # type: ignore[attr-defined]
        _module("fetch_hub_objects_for_ci").url_to_local_path = str  # type: ignore[attr-defined]
    return getattr(import_module(f"{_PACKAGE}.{module}"), name)


def _module(name: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    return module
