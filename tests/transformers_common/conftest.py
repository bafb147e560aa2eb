"""Which of the common tests run: none unless they are asked for, and then those that apply.

A test that skips itself without a reason in the table is a failure of the run.
"""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.transformers_common.common_tests import Reason, table_of_reasons

_UNEXPLAINED: list[str] = []


def reason_of(nodeid: str) -> Reason | None:
    """Finds why a test is not passed, given its id; `None` where it is to pass."""
    name = "::".join(nodeid.split("::")[-2:])
    return next((reason for pattern, reason in table_of_reasons().items() if fnmatchcase(name, pattern)), None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path.name.startswith("test_") and config.option.markexpr != "transformers" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("transformers")
            reason = reason_of(item.nodeid)
            if reason is not None and reason.result == "not applicable":
                item.add_marker(pytest.mark.skip(reason=reason.why))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and reason_of(report.nodeid) is None:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _UNEXPLAINED.append(f"{report.nodeid.partition('::')[2]}: {why}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _UNEXPLAINED and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _UNEXPLAINED:
        terminalreporter.write_line(f"skipped without a reason in docs/transformers_tests.md: {line}")
