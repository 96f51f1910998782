"""A stack and a Chromium for the tests that look at the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Visitor, chromium, require_browser
from tests.support.dcmtk import require_dcmtk
from tests.support.running_stack import IMPATIENT, RunningStack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module; it is gone before another module runs an event loop."""
    require_browser()
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def stack(browser: Browser) -> Iterator[RunningStack]:
    """A stack from an empty data folder."""
    require_dcmtk()
    with RunningStack(environ=IMPATIENT) as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, stack: RunningStack) -> Iterator[Visitor]:
    """A person in an empty window; what the browser complained of fails the test in the end."""
    entered = Visitor.enter(browser, stack)
    yield entered
    entered.leave()
    assert entered.faults() == []
