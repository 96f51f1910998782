"""The whole way without a mouse."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_walk import ARRIVAL_MS, HELD_MS, redrawn, row
from tests.support.browser import PASSWORD, Visitor
from tests.support.chests import send_chest
from tests.support.running_stack import RunningStack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.dcmtk,
    pytest.mark.timeout(600),
]


def tab_to(page: Page, name: str, most: int = 120) -> None:
    """Press the tabulator until the control of this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "() => { const one = document.activeElement;"
            " if (one === document.body) return '';"
            " return one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || ''; }"
        )
        if name in " ".join(found.split()):
            return
    raise AssertionError(f"the tabulator does not reach {name}")


def test_sign_in_search_open_window_replay_and_sign_out_by_keyboard_alone(
    visitor: Visitor, stack: RunningStack, tmp_path: Path
) -> None:
    page = visitor.page
    set_a_password(visitor)
    send_held(visitor, tmp_path)

    page.keyboard.press("/")
    page.keyboard.type("dora")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("KEYS, DORA")
    window(page)
    tab_to(page, "Run again: Analyse with ct_tissue")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Enter")
    tab_to(page, "Run again", most=3)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("[data-stage='analyze:ct_tissue']")).to_contain_text(
        "Done", timeout=ARRIVAL_MS
    )

    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(row(page, "KEYS, DORA")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    tab_to(page, "Sign out")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sign-in"))
    sign_in_again(page)


def set_a_password(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(visitor.stack.sign_in_link)
    expect(page.get_by_role("heading", name="Set a password")).to_be_visible()
    tab_to(page, "New password", most=4)
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("No studies yet")).to_be_visible()


def send_held(visitor: Visitor, folder: Path) -> None:
    """Send a study while Triton is away, and let Triton come back when the study is held."""
    stack, page = visitor.stack, visitor.page
    os.kill(stack.supervisor, signal.SIGSTOP)
    try:
        stack.kill("triton")
        send_chest(stack, folder, "KEYS^DORA")
        expect(row(page, "KEYS, DORA")).to_contain_text("Held", timeout=HELD_MS)
    finally:
        os.kill(stack.supervisor, signal.SIGCONT)


def window(page: Page) -> None:
    canvas = page.get_by_role("application")
    expect(page.locator("[data-phase=ready]")).to_be_visible(timeout=60_000)
    redrawn(canvas, lambda: page.keyboard.press("2"))
    expect(page.get_by_label("Width")).to_have_value("1500")
    tab_to(page, "Images of the series")
    redrawn(canvas, lambda: page.keyboard.press("ArrowUp"))


def sign_in_again(page: Page) -> None:
    page.keyboard.type("administrator")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").first).to_be_visible()
