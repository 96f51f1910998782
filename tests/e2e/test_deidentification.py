"""De-identification by the page: a project, a study into it, its review, and who it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.axe import assert_accessible
from tests.support.browser import Visitor
from tests.support.held_study import SECRET, send_held_study

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.dcmtk,
    pytest.mark.soak,
    pytest.mark.timeout(400),
]


def test_a_study_is_de_identified_reviewed_and_identified_again(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    visitor.sign_in()
    send_held_study(visitor.stack, tmp_path / "study")
    make_a_project(visitor)
    start_a_study(visitor)
    review(visitor)
    ask_who_it_was(visitor)
    assert SECRET not in page.evaluate("() => document.body.innerText")


def make_a_project(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="De-identification").click()
    expect(page.get_by_text("No projects yet")).to_be_visible()
    assert_accessible(visitor)
    page.get_by_role("button", name="Add a project").press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Lung Nodules")
    dialog.get_by_label("Name", exact=True).press("Enter")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    dialog.get_by_label("Name", exact=True).fill("lung-nodules")
    dialog.get_by_role("radio", name="Research").check()
    expect(dialog.get_by_label("Retain modified dates")).to_be_checked()
    dialog.get_by_label("Two persons").uncheck()
    assert_accessible(visitor)
    dialog.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("lung-nodules is created.")).to_be_visible()
    assert_accessible(visitor)


def start_a_study(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/studies")
    row = page.get_by_role("row").filter(has_text=SECRET)
    # While it is worked on something on its page moves without end, which axe waits for.
    expect(row).to_contain_text(re.compile("Ready|Held"), timeout=120_000)
    row.get_by_role("link").first.click()
    page.get_by_role("button", name="De-identify").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Project")).to_contain_text("lung-nodules")
    assert_accessible(visitor)
    dialog.get_by_role("button", name="De-identify").press("Enter")
    expect(dialog.get_by_text("Begun: 1 series.")).to_be_visible()
    dialog.get_by_role("button", name="Close").last.press("Enter")
    expect(page.locator('[data-stage="deidentify:lung-nodules"]')).to_contain_text("lung-nodules")


def review(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("link", name="De-identification").click()
    page.get_by_role("link", name="lung-nodules").click()
    series = page.get_by_role("link", name="CT series")
    expect(series).to_be_visible(timeout=60_000)
    expect(page.get_by_role("row").filter(has=series)).to_contain_text("2")
    assert_accessible(visitor)
    series.press("Enter")
    expect(page.get_by_role("heading", name="Review of CT series")).to_be_visible()
    expect(page.get_by_text("It cannot be approved")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Frame 1 of object 18"))).to_be_visible()
    reveal_and_mask(page)
    assert_accessible(visitor)

    page.keyboard.press("r")
    decide(page, "a name among the pixels", "Reject")
    expect(page.get_by_text("Rejected. It stays inside.")).to_be_visible()
    expect(page.get_by_role("button", name="Object 19")).to_have_attribute("aria-current", "true")
    page.keyboard.press("a")
    assert_accessible(visitor)
    decide(page, "looked at every frame", "Approve")
    expect(page.get_by_role("button", name="Object 19 Approved")).to_be_visible()
    expect(page.get_by_text("Approved by administrator: looked at every frame")).to_be_visible()
    page.get_by_role("combobox", name="Objects").select_option(label="All")
    expect(page.get_by_role("button", name="Object 17 Released")).to_be_visible()
    assert_accessible(visitor)


def reveal_and_mask(page: Page) -> None:
    row = page.get_by_role("row").filter(has_text="PatientName")
    expect(row).to_be_visible()
    assert SECRET not in row.inner_text()
    page.keyboard.press("v")
    page.get_by_role("dialog").get_by_role("button", name="Reveal values").press("Enter")
    expect(row).to_contain_text(SECRET)
    page.keyboard.press("v")
    expect(page.get_by_text("Values are masked.")).to_be_visible()
    expect(row).not_to_contain_text(SECRET)


def decide(page: Page, reason: str, button: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=button).press("Enter")
    expect(dialog).to_be_hidden(timeout=60_000)


def ask_who_it_was(visitor: Visitor) -> None:
    page = visitor.page
    pseudonym = page.locator("dt", has_text="Pseudonym").locator("+ dd").inner_text()
    page.get_by_role("link", name="Re-identification").click()
    expect(page.get_by_text("Nobody has asked yet")).to_be_visible()
    page.get_by_role("button", name="Ask").press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Pseudonym").fill(pseudonym)
    dialog.get_by_label("Reason").fill("she has to know of a finding")
    assert_accessible(visitor)
    dialog.get_by_role("button", name="Ask").press("Enter")
    expect(page.get_by_text("Asked. You may see it now.")).to_be_visible()
    page.get_by_role("button", name=f"Tell who stands behind {pseudonym}").press("Enter")
    expect(dialog).to_contain_text(SECRET)
    assert_accessible(visitor)
    dialog.get_by_role("button", name="Close").last.press("Enter")
    expect(page.get_by_role("row").filter(has_text=pseudonym)).to_contain_text("told 1 time")
    assert_accessible(visitor)
