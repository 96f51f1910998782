"""axe finds nothing against WCAG 2.2 AA on any page, in either theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from services.coordinator.access.issuing import PERSON_LIFETIME
from tests.support.axe import assert_accessible
from tests.support.browser import PASSWORD, Visitor
from tests.support.chests import CUT_AT, send_chest
from tests.support.running_stack import RunningStack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.dcmtk,
    pytest.mark.timeout(400),
]

ALMOST_OVER_MS: Final = 120_000


@pytest.fixture(scope="module")
def inside(
    browser: Browser, stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    """A person who looked at the pages of an empty installation, then sent a study."""
    visitor = Visitor.enter(browser, stack)
    page = visitor.page
    page.goto(stack.sign_in_link)
    stack.sign_in_link = ""
    expect(page.get_by_role("heading", name="Set a password")).to_be_visible()
    assert_accessible(visitor)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("No studies yet")).to_be_visible()
    assert_accessible(visitor)
    send_chest(stack, tmp_path_factory.mktemp("chest"), "AXE^ANNA", slices=CUT_AT)
    expect(page.get_by_role("row").filter(has_text="AXE")).to_contain_text("Ready", timeout=90_000)
    yield visitor
    visitor.leave()


def test_the_worklist(inside: Visitor) -> None:
    open_page(inside, "/studies")
    expect(inside.page.get_by_role("row").filter(has_text="AXE")).to_be_visible()

    assert_accessible(inside)


def test_the_worklist_without_a_match(inside: Visitor) -> None:
    open_page(inside, "/studies?text=nobody")
    expect(inside.page.get_by_text("No study matches")).to_be_visible()

    assert_accessible(inside)


def test_a_study_with_all_that_can_be_unfolded(inside: Visitor) -> None:
    open_study(inside)
    expect(inside.page.locator("[data-overlay=true]")).to_be_visible(timeout=60_000)
    assert_accessible(inside)

    inside.page.evaluate(
        "() => document.querySelectorAll('details').forEach((one) => one.open = true)"
    )
    for button in inside.page.locator("[aria-expanded=false]").element_handles():
        button.click()

    assert_accessible(inside)


def test_a_study_that_does_not_exist(inside: Visitor) -> None:
    open_page(inside, "/studies/01a1feaf-2464-761c-a0a5-000000000000")
    expect(inside.page.get_by_text("There is no such study")).to_be_visible()

    assert_accessible(inside)


def test_uploads(inside: Visitor) -> None:
    open_page(inside, "/upload")
    expect(inside.page.get_by_role("button", name="Choose a folder")).to_be_visible()

    assert_accessible(inside)


def test_sources(inside: Visitor) -> None:
    open_page(inside, "/sources")
    expect(inside.page.get_by_text("No sources yet")).to_be_visible()
    assert_accessible(inside)

    inside.page.get_by_role("button", name="Add a source").click()
    expect(inside.page.get_by_role("dialog")).to_be_visible()

    assert_accessible(inside)


def test_the_status(inside: Visitor) -> None:
    open_page(inside, "/status")
    expect(inside.page.get_by_role("row").filter(has_text="coordinator")).to_be_visible()

    assert_accessible(inside)


def test_the_peers_and_the_form_of_a_new_one(inside: Visitor) -> None:
    open_page(inside, "/peers")
    expect(inside.page.get_by_text("No peers yet")).to_be_visible()
    assert_accessible(inside)

    inside.page.get_by_role("button", name="Add a peer").click()
    inside.page.get_by_label("Speaks DICOMweb").check()

    assert_accessible(inside)


def test_projects_of_de_identification_and_the_form_of_a_new_one(inside: Visitor) -> None:
    open_page(inside, "/deidentification")
    expect(inside.page.get_by_text("No projects yet")).to_be_visible()
    assert_accessible(inside)

    inside.page.get_by_role("button", name="Add a project").click()
    expect(inside.page.get_by_label("Retain UIDs")).to_be_visible()

    assert_accessible(inside)


def test_re_identification(inside: Visitor) -> None:
    open_page(inside, "/deidentification/crosswalk")
    expect(inside.page.get_by_text("Nobody has asked yet")).to_be_visible()

    assert_accessible(inside)


def test_the_settings(inside: Visitor) -> None:
    open_page(inside, "/settings")
    expect(inside.page.get_by_role("button", name="Change password")).to_be_visible()

    assert_accessible(inside)


def test_an_address_without_a_page(inside: Visitor) -> None:
    open_page(inside, "/nowhere")
    expect(inside.page.get_by_text("Nothing lies at this address")).to_be_visible()

    assert_accessible(inside)


@pytest.mark.parametrize("where", ["worklist", "study"])
def test_the_sheet_of_shortcuts(where: str, inside: Visitor) -> None:
    open_page(inside, "/studies") if where == "worklist" else open_study(inside)
    inside.page.keyboard.press("?")
    expect(inside.page.get_by_role("dialog")).to_be_visible()

    assert_accessible(inside)


def test_the_dialog_when_a_session_is_over(
    browser: Browser, stack: RunningStack, inside: Visitor
) -> None:
    visitor = Visitor.enter(browser, stack)
    visitor.sign_in()
    visitor.context.clear_cookies()
    visitor.page.get_by_role("searchbox").fill("axe")
    expect(visitor.page.get_by_role("dialog")).to_contain_text("Sign in again")

    assert_accessible(visitor)
    visitor.leave()


def test_the_dialog_shortly_before_a_session_is_over(
    browser: Browser, stack: RunningStack, inside: Visitor
) -> None:
    visitor = Visitor.enter(browser, stack)
    visitor.page.clock.install()
    visitor.sign_in()
    life_ms = round(PERSON_LIFETIME.total_seconds() * 1000)
    visitor.page.clock.fast_forward(life_ms - ALMOST_OVER_MS)
    expect(visitor.page.get_by_role("button", name="Stay signed in")).to_be_visible()

    assert_accessible(visitor)
    visitor.leave()


def test_the_sign_in_with_and_without_a_failure(
    browser: Browser, stack: RunningStack, inside: Visitor
) -> None:
    visitor = Visitor.enter(browser, stack)
    visitor.page.goto("/sign-in")
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert_accessible(visitor)
    visitor.page.get_by_label("Name").fill("nobody")
    visitor.page.get_by_label("Password").fill("wrong")
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_role("alert")).to_be_visible()

    assert_accessible(visitor)
    visitor.leave()


def open_page(visitor: Visitor, address: str) -> None:
    visitor.page.goto(address)
    expect(visitor.page.get_by_role("heading").first).to_be_attached()


def open_study(visitor: Visitor) -> None:
    open_page(visitor, "/studies")
    visitor.page.get_by_role("row").filter(has_text="AXE").click()
    expect(visitor.page.get_by_role("link", name="Open the PDF")).to_be_visible()
