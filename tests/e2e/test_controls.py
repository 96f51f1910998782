"""Nothing on a page is only painted there: every enabled control does something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Visitor
from tests.support.chests import CUT_AT, send_chest
from tests.support.crawler import Crawl
from tests.support.running_stack import RunningStack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.dcmtk,
    pytest.mark.timeout(500),
]

SPARED: Final = (
    "Sign out",  # ends the crawl; the walk does it
    "Stop the work",  # takes the study's work away; offered only while it runs
    "Português",  # every name would be new; it has a test below
)


@pytest.fixture(scope="module")
def study(browser: Browser, stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sign in, so that later windows do it by password, and return the address of a study."""
    visitor = Visitor.enter(browser, stack)
    visitor.sign_in()
    send_chest(stack, tmp_path_factory.mktemp("chest"), "CRAWL^ANNA", slices=CUT_AT)
    row = visitor.page.get_by_role("row").filter(has_text="CRAWL")
    expect(row).to_contain_text("Ready", timeout=90_000)
    address = row.get_by_role("link").get_attribute("href")
    visitor.leave()
    assert address is not None
    return address


@pytest.mark.parametrize(
    ("page", "least"),
    [
        ("worklist", 18),
        ("study", 40),
        ("status", 8),
        ("settings", 12),
        ("peers", 12),
        ("deidentification", 20),
    ],
)
def test_every_enabled_control_has_an_effect(
    page: str, least: int, visitor: Visitor, study: str, figure: Callable[[str], None]
) -> None:
    visitor.sign_in()
    address = {"worklist": "/studies", "study": study}.get(page, f"/{page}")
    crawl = Crawl(visitor.page, address, SPARED)

    without = crawl.run()

    figure(f"{page}: {len(crawl.done)} controls, each with an effect")
    assert without == []
    assert len(crawl.done) >= least


def test_every_control_of_the_sign_in_has_an_effect(visitor: Visitor, study: str) -> None:
    # Chromium reports the answer to a form sent without name and password; the page shows it.
    session = f"http://127.0.0.1:{visitor.stack.http_port}/session"
    visitor.expected.append(f"status of 401 (Unauthorized) ({session})")

    assert Crawl(visitor.page, "/sign-in").run() == []


def test_the_page_speaks_portuguese_when_asked(visitor: Visitor, study: str) -> None:
    visitor.sign_in()
    visitor.page.goto("/settings")

    visitor.page.get_by_label("Português").check()

    expect(visitor.page.get_by_role("link", name="Estudos")).to_be_visible()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "pt-BR")


def test_the_window_scrolls_nowhere_but_in_its_content(visitor: Visitor, study: str) -> None:
    visitor.sign_in()
    visitor.page.goto(study)
    expect(visitor.page.get_by_role("link", name="Open the PDF")).to_be_visible()

    width, height = visitor.page.evaluate(
        "() => ['scrollWidth', 'scrollHeight'].map((name) => document.documentElement[name])"
    )

    assert (width, height) == (1280, 800)
