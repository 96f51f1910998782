"""From an empty data folder to a signed report and back, as a person walks it in Chromium."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.axe import assert_accessible
from tests.support.browser import PASSWORD, Visitor, picture
from tests.support.chests import CUT_AT, send_chest
from tests.support.running_stack import RunningStack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.dcmtk,
    pytest.mark.timeout(600),
]

ARRIVAL_MS: Final = 90_000
HELD_MS: Final = 120_000


def test_a_study_is_followed_from_the_scanner_to_its_report(
    visitor: Visitor, stack: RunningStack, tmp_path: Path
) -> None:
    page = visitor.page
    sign_in_by_link(visitor)
    expect(page.get_by_text("No studies yet")).to_be_visible()
    expect(page.get_by_text("storescu -aec HEIMDALLR")).to_be_visible()

    send_chest(stack, tmp_path / "whole", "WALK^ANNA")
    send_chest(stack, tmp_path / "cut", "WALK^BERTA", seed=5, slices=CUT_AT)
    for name in ("WALK, ANNA", "WALK, BERTA"):
        expect(row(page, name)).to_contain_text("Ready", timeout=ARRIVAL_MS)

    open_by_keyboard(page, "WALK, ANNA")
    look_at_the_work(page)
    look_at_the_images(page)
    read_a_measurement(page)
    open_the_report(visitor)
    read_a_refusal(page)
    mend_a_held_study(visitor, tmp_path / "held")
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("row").filter(has_text="triton")).to_contain_text("Ready")
    sign_out(visitor)


def sign_in_by_link(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(visitor.stack.sign_in_link)
    visitor.stack.sign_in_link = ""
    expect(page.get_by_role("heading", name="Set a password")).to_be_visible()
    assert "code=" not in page.url
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page).to_have_url(re.compile("/studies$"))


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def open_by_keyboard(page: Page, name: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(name.split(", ")[1].lower())
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(row(page, name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def look_at_the_work(page: Page) -> None:
    work = page.get_by_role("region", name="Work")
    for stage in ("Received", "Plan", "Describe", "Convert to a volume", "ct_tissue", "Report"):
        expect(work.get_by_role("row").filter(has_text=stage).first).to_contain_text("Done")
    expect(work).to_contain_text("Correlation id")
    expect(page.get_by_role("region", name="Plan")).to_contain_text("the model is made for CT")


def look_at_the_images(page: Page) -> None:
    images = page.get_by_role("region", name=re.compile("^Images"))
    expect(images.locator("[data-overlay=true]")).to_be_visible(timeout=60_000)
    canvas = images.get_by_role("application")
    position = images.locator("[data-readout=position]")
    expect(position).not_to_be_empty()
    before = position.inner_text()

    redrawn(canvas, lambda: scroll(page, canvas))
    assert position.inner_text() != before
    redrawn(canvas, lambda: page.get_by_label("Slice").first.press("ArrowRight"))
    redrawn(canvas, lambda: page.get_by_label("Window").select_option(label="2 Lung"))
    expect(page.get_by_label("Width")).to_have_value("1500")
    redrawn(canvas, lambda: page.get_by_role("button", name="Hide labels").click())
    redrawn(canvas, lambda: page.get_by_role("button", name="Show labels").click())
    redrawn(canvas, lambda: images.get_by_role("button", name=re.compile("^Bone")).click())
    redrawn(canvas, lambda: page.get_by_label("Opacity of labels", exact=True).press("End"))
    redrawn(canvas, lambda: page.get_by_label("View").select_option(index=0))
    expect(page).to_have_url(re.compile("window=lung"))


def scroll(page: Page, canvas: Locator) -> None:
    canvas.hover(position={"x": 100, "y": 100})
    page.mouse.wheel(0, 120)


def redrawn(canvas: Locator, act: Callable[[], object]) -> None:
    """Do something and wait until the image looks different."""
    before = picture(canvas)
    act()
    for _ in range(50):
        if picture(canvas) != before:
            return
        canvas.page.wait_for_timeout(100)
    raise AssertionError("the image stays the same")


def read_a_measurement(page: Page) -> None:
    lungs = page.locator("[data-measurement='lungs.volume']")
    expect(lungs).to_contain_text(re.compile(r"\d,\d{3}\s*mL"))


def open_the_report(visitor: Visitor) -> None:
    page = visitor.page
    with visitor.context.expect_page() as opened:
        page.get_by_role("link", name="Open the PDF").click()
    assert opened.value.url.startswith(f"blob:{page.url.split('/studies')[0]}/")
    opened.value.close()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download Report, PDF").click()
    assert saved.value.path().read_bytes().startswith(b"%PDF-")


def read_a_refusal(page: Page) -> None:
    page.get_by_role("link", name="Studies").click()
    page.get_by_role("searchbox").fill("berta")
    row(page, "WALK, BERTA").click()
    lungs = page.locator("[data-measurement='lungs.volume']")
    expect(lungs).to_contain_text("Refused")
    expect(lungs).to_contain_text("The lungs reach the first or last slice")


def mend_a_held_study(visitor: Visitor, folder: Path) -> None:
    page, stack = visitor.page, visitor.stack
    # The supervisor is stopped first, or it would start Triton again at once.
    os.kill(stack.supervisor, signal.SIGSTOP)
    try:
        stack.kill("triton")
        send_chest(stack, folder, "WALK^CLARA", seed=6)
        page.get_by_role("link", name="Studies").click()
        page.get_by_role("searchbox").fill("clara")
        expect(row(page, "WALK, CLARA")).to_contain_text("Held", timeout=HELD_MS)
    finally:
        os.kill(stack.supervisor, signal.SIGCONT)
    row(page, "WALK, CLARA").click()
    stage = page.locator("[data-stage='analyze:ct_tissue']")
    expect(stage).to_contain_text("model server")
    stack.pid("triton")
    stage.get_by_role("button", name="Run again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("model server")
    assert_accessible(visitor)
    dialog.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("banner").or_(page.locator("main")).last).to_contain_text(
        "Ready", timeout=ARRIVAL_MS
    )
    expect(stage).to_contain_text("Done", timeout=ARRIVAL_MS)
    expect(page.get_by_role("link", name="Open the PDF")).to_be_visible(timeout=ARRIVAL_MS)


def sign_out(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    assert visitor.context.cookies() == []
    answer = visitor.context.request.post(
        "/heimdallr.access.v1.AccessService/GetCaller",
        data=b"\0\0\0\0\0",
        headers={"Content-Type": "application/grpc-web+proto"},
    )
    assert b"grpc-status:16" in answer.body() or answer.headers.get("grpc-status") == "16"
