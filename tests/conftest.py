"""What every test shares: figures printed at the end; with CI=true a skip may fail the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Final

# Imported early: imported in the last summary, by its plug-in, CPython 3.11 may fail to parse it.
import hypothesis  # noqa: F401
import pytest

MUST_RUN: Final = frozenset(
    {"postgres", "envoy", "triton", "dcmtk", "orthanc", "corpora", "stack", "browser"}
)

_figures: list[str] = []


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Note something that was measured; it is printed when the run ends."""
    return _figures.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures")
        for line in _figures:
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    markers = {marker.name for marker in item.iter_markers()}
    if report.skipped and os.environ.get("CI") == "true" and markers & MUST_RUN:
        report.outcome = "failed"
        report.longrepr = f"skipped on a machine that must run it: {report.longrepr}"
    return report
