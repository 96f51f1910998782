"""What every test shares: figures printed at the end; with CI=true a skip may fail the run.

Two workers share the tests: one takes those that start everything, one after another, so that no
two systems compete for the machine; the other takes the rest, file by file.
"""

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

WHOLE_SYSTEM: Final = frozenset({"stack", "browser"})
_FIGURE: Final = "figure"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note something that was measured; it is printed when the run ends."""
    return lambda text: request.node.user_properties.append((_FIGURE, text))


def pytest_itemcollected(item: pytest.Item) -> None:
    # Not once all are collected: the workers have read the groups by then.
    group = _SYSTEMS if _starts_everything(item) else item.location[0]
    item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_starts_everything, reverse=True)


_SYSTEMS: Final = "systems"


def _starts_everything(item: pytest.Item) -> bool:
    return any(marker.name in WHOLE_SYSTEM for marker in item.iter_markers())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for some in terminalreporter.stats.values() for report in some]
    figures = [
        str(text)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
        for name, text in report.user_properties
        if name == _FIGURE
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
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
