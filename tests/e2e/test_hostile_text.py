"""What a stranger writes into a study is text: no markup, no other direction, no other layout."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import Visitor
from tests.support.chests import CUT_AT, send_chest
from tests.support.running_stack import RunningStack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.dcmtk,
    pytest.mark.timeout(400),
]

MARKUP: Final = "<img src=x onerror=alert(1)>"
SCRIPT: Final = '"><script>alert(2)</script>'
OVERRIDE: Final = "\u202egnp.exe"
EMOJI: Final = "\U0001f9e0\U0001f468\u200d\U0001f469\u200d\U0001f467"
LONG: Final = "W" * 10_000
HOSTILE: Final = {
    "Markup": {"StudyDescription": MARKUP + SCRIPT, "SeriesDescription": SCRIPT + MARKUP},
    "Override": {"StudyDescription": OVERRIDE, "SeriesDescription": OVERRIDE + EMOJI},
    "Long": {"StudyDescription": LONG, "SeriesDescription": LONG, "AccessionNumber": "9" * 200},
    "Emoji": {"StudyDescription": EMOJI * 20, "SeriesDescription": "e" + "\u0301" * 500},
}


@pytest.fixture(scope="module")
def list_of_strangers(
    browser: Browser, stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> RunningStack:
    """Send one decent study and those whose every text is hostile."""
    folder = tmp_path_factory.mktemp("strangers")
    visitor = Visitor.enter(browser, stack)
    visitor.sign_in()
    send_chest(stack, folder / "decent", "DECENT^ANNA", slices=CUT_AT)
    for key, values in HOSTILE.items():
        first = next(iter(values.values()))[:9_000]
        send_chest(
            stack,
            folder / key,
            f"{key}^{first}",
            slices=CUT_AT,
            values={"PatientID": key, **values},
        )
    ready = visitor.page.get_by_role("row").filter(has_text="Ready")
    expect(ready).to_have_count(1 + len(HOSTILE), timeout=150_000)
    visitor.leave()
    return stack


def test_every_row_is_as_high_as_a_decent_one(
    visitor: Visitor, list_of_strangers: RunningStack
) -> None:
    visitor.sign_in()
    rows = visitor.page.locator("[data-study-id]")
    expect(rows).to_have_count(1 + len(HOSTILE))

    boxes = [one.bounding_box() for one in rows.all()]

    assert {box["height"] for box in boxes if box} == {48}
    assert len({box["width"] for box in boxes if box}) == 1
    assert_nothing_sticks_out(visitor.page)


@pytest.mark.parametrize("key", list(HOSTILE))
def test_a_study_of_a_stranger_is_shown_as_text(
    key: str, visitor: Visitor, list_of_strangers: RunningStack
) -> None:
    visitor.sign_in()
    page = visitor.page
    page.get_by_role("row").filter(has_text=key).click()
    expect(page.locator("[data-overlay=true]")).to_be_visible(timeout=60_000)
    head = page.get_by_role("heading", level=1)

    expect(head).to_contain_text(key)
    expect(page.locator("main")).to_contain_text(HOSTILE[key]["StudyDescription"][:20])
    assert page.locator("img[src='x'], main script").count() == 0
    assert isolated(head)
    assert_nothing_sticks_out(page)


def isolated(locator: Locator) -> bool:
    """Say whether a text cannot turn what stands beside it around."""
    found: bool = locator.evaluate(
        "one => [one, ...one.querySelectorAll('*')].some("
        "(each) => getComputedStyle(each).unicodeBidi.startsWith('isolate'))"
    )
    return found


def assert_nothing_sticks_out(page: Page) -> None:
    """The page is as wide as its window, and so is all that scrolls with it."""
    wide = page.evaluate(
        "() => [document.documentElement, document.querySelector('main')]"
        ".map((one) => one.scrollWidth - one.clientWidth)"
    )
    assert wide == [0, 0]
