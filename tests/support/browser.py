"""Chromium as a person uses it: nothing is intercepted, and every complaint of it is kept."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.support.running_stack import RunningStack

CHROMIUM: Final = Path(os.environ.get("HEIMDALLR_CHROMIUM", "/usr/bin/chromium"))
DASHBOARD: Final = Path(__file__).resolve().parents[2] / "services/dashboard"
SIZE: Final = {"width": 1280, "height": 800}
ADMINISTRATOR: Final = "administrator"
PASSWORD: Final = "seven small yellow boats"
TIMEOUT_MS: Final = 20_000
"""Software rendering on two cores is slow; a person would not wait for so long."""

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_WEBGL: Final = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_REPORT_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.effectiveDirective} by ${event.blockedURI}`));
"""

expect.set_options(timeout=TIMEOUT_MS)

Theme = Literal["dark", "light"]


def require_browser() -> None:
    """Skip the test where Chromium or the built page is absent."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    if not (DASHBOARD / "dist/index.html").is_file():
        pytest.skip("the page is not built: make web")


@contextmanager
def chromium(*, webgl: bool = True) -> Iterator[Browser]:
    """Run Debian's Chromium; WebGL in software makes every frame slower, so it can be left out."""
    arguments = [*_ARGUMENTS, *(_WEBGL if webgl else ("--disable-gpu",))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=arguments, timeout=60_000
        )
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A person before the page of a stack.

    Attributes:
        stack: What is looked at.
        context: Cookies and storage of one person.
        page: The open page.
        complaints: Errors of console, page and security policy, and dialogs nobody asked for.
        expected: Ends of complaints that are no fault, whenever the browser gets to them.
    """

    stack: RunningStack
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    @classmethod
    def enter(cls, browser: Browser, stack: RunningStack, theme: Theme = "dark") -> Self:
        """Open an empty window."""
        context = browser.new_context(
            base_url=f"http://127.0.0.1:{stack.http_port}",
            viewport={"width": 1280, "height": 800},
            color_scheme=theme,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(_REPORT_VIOLATIONS)
        visitor = cls(stack, context, context.new_page())
        context.on("console", visitor._on_console)
        context.on("weberror", lambda error: visitor.complaints.append(f"page: {error.error}"))
        visitor.page.on("dialog", visitor._on_dialog)
        return visitor

    def sign_in(self, password: str = PASSWORD) -> None:
        """Sign in as administrator: by the link the first time, later by password."""
        if self.stack.sign_in_link:
            self.page.goto(self.stack.sign_in_link)
            self.stack.sign_in_link = ""
            self.page.get_by_label("New password", exact=True).fill(password)
            self.page.get_by_label("New password again").fill(password)
            self.page.get_by_role("button", name="Set password").click()
        else:
            self.page.goto("/sign-in")
            self.page.get_by_label("Name").fill(ADMINISTRATOR)
            self.page.get_by_label("Password").fill(password)
            self.page.get_by_role("button", name="Sign in").click()
        expect(self.page).to_have_url(re.compile(r"/studies"), timeout=TIMEOUT_MS)

    def use_theme(self, theme: Theme) -> None:
        """Choose a theme as the settings do, for this page and those that follow."""
        self.page.evaluate(
            "theme => { localStorage.setItem('heimdallr.theme', theme);"
            " document.documentElement.dataset.theme = theme; }",
            theme,
        )
        self.page.wait_for_timeout(50)
        self.page.evaluate(
            "() => Promise.allSettled(document.getAnimations().map((one) => one.finished))"
        )

    def leave(self) -> None:
        """Close the window."""
        self.context.close()

    def faults(self) -> list[str]:
        """Return the complaints that were not to be expected."""
        return [one for one in self.complaints if not one.endswith(tuple(self.expected))]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_dialog(self, dialog: object) -> None:
        self.complaints.append(f"dialog: {dialog}")


def picture(locator: Locator) -> str:
    """Return a hash of what an element looks like."""
    return hashlib.sha256(locator.screenshot()).hexdigest()
