"""Does everything that a page offers, once, and asks each time whether anything came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.sync_api import Download, Page, Request

from tests.support.browser import picture

EFFECT_MS: Final = 3_000
_QUIET_MS: Final = 250
_MOST_STEPS: Final = 250
_VALUES: Final = frozenset({"select-one", "range", "number", "application"})

_OFFERS: Final = """
() => {
  const modal = [...document.querySelectorAll("dialog[open]")].at(-1);
  const seen = new Map();
  window.__offers = new Map();
  const name = (one) => (one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || one.title)
    .trim().replace(/\\s+/g, " ").replace(/\\d+/g, "#");
  const chosen = (one) => one.checked === true || one.ariaPressed === "true" ||
    (one.ariaCurrent ?? "false") !== "false";
  const usable = (one) => !one.disabled && !one.readOnly && one.getClientRects().length > 0;
  const controls = "a[href], button, select, input, textarea, summary, [role=application]," +
    "[role=row][tabindex='0']";
  for (const one of (modal ?? document).querySelectorAll(controls)) {
    if (!usable(one) || chosen(one)) continue;
    const kind = one.role ?? one.type ?? one.localName;
    const label = ["row", "application"].includes(kind) ? "" : name(one);
    const key = `${modal ? "dialog " : ""}${one.localName} ${kind} ${label}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    // Of a long row of equals the first two stand for all.
    if (seen.get(key) <= 2) window.__offers.set(`${key} ${seen.get(key)}`, one);
  }
  return [...window.__offers.keys()];
}
"""
_FOCUS: Final = """
(key) => {
  const one = window.__offers.get(key);
  one.scrollIntoView({ block: "center" });
  one.focus({ preventScroll: true });
  window.__control = one;
  window.__before = { at: location.href, value: one.value, checked: one.checked };
  window.__effects = new Set();
  window.__observer?.disconnect();
  window.__observer = new MutationObserver((all) =>
    all.forEach((each) => window.__effects.add(each.type)));
  window.__observer.observe(
    document, { subtree: true, childList: true, attributes: true, characterData: true });
  return { kind: one.role ?? one.type ?? one.localName, name: one.localName, tab: one.tabIndex };
}
"""
_EFFECTS: Final = """
() => {
  if (window.__effects === undefined) return ["page"];
  const found = [...window.__effects];
  if (location.href !== window.__before.at) found.push("address");
  const active = document.activeElement;
  if (active !== window.__control && active !== document.body) found.push("focus");
  // What a field of text does is to take the text, and a choice in a form to be chosen; all others
  // have to do more than that.
  const control = window.__control;
  const typed = ["text", "password", "url", "textarea"].includes(control.type);
  if (typed && control.value !== window.__before.value) found.push("text");
  if (control.form && control.checked !== window.__before.checked) found.push("choice");
  return found;
}
"""
_SETTLE: Final = """
(ms) => new Promise((resolve) => {
  let timer = setTimeout(done, ms);
  const most = setTimeout(done, 2000);
  const observer = new MutationObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(done, ms);
  });
  function done() {
    observer.disconnect();
    clearTimeout(timer);
    clearTimeout(most);
    resolve();
  }
  observer.observe(
    document, { subtree: true, childList: true, attributes: true, characterData: true });
})
"""


@dataclass
class Crawl:
    """What came of every control of one address.

    Attributes:
        page: The page, signed in.
        address: Path and query that the crawl begins at and comes back to.
        spared: What is not done, as patterns of a control's key.
        done: Every control that was used, and what it did.
    """

    page: Page
    address: str
    spared: tuple[str, ...] = ()
    done: dict[str, list[str]] = field(default_factory=dict)
    _seen: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Use every control once and return those without an effect."""
        self.page.on("download", self._on_download)
        self.page.on("request", self._on_request)
        self.page.context.on("page", self._on_page)
        self.page.goto(self.address)
        for _ in range(_MOST_STEPS):
            self.page.evaluate(_SETTLE, _QUIET_MS)
            key = self._next()
            if key is not None:
                self._use(key)
            elif not self._close_dialog():
                return [key for key, effects in self.done.items() if not effects]
        raise AssertionError(f"{self.address} offers something new after {_MOST_STEPS} steps")

    def _next(self) -> str | None:
        offers: list[str] = self.page.evaluate(_OFFERS)
        for key in offers:
            if key not in self.done and not any(re.search(one, key) for one in self.spared):
                return key
        return None

    def _use(self, key: str) -> None:
        self._seen.clear()
        control = self.page.evaluate(_FOCUS, key)
        images = self._images() if control["kind"] in _VALUES else None
        self._press(control)
        self.done[key] = self._wait(images)
        if self.page.evaluate("() => location.pathname") != self.address.split("?")[0]:
            self.page.goto(self.address)

    def _press(self, control: dict[str, Any]) -> None:
        keyboard = self.page.keyboard
        kind = control["kind"]
        if control["tab"] < 0:
            # Nobody comes here by keyboard.
            self.page.evaluate("() => window.__control.click()")
        elif kind in _VALUES:
            last = "() => window.__control.selectedIndex === window.__control.length - 1"
            at_end = kind == "select-one" and self.page.evaluate(last)
            keyboard.press("ArrowUp" if at_end else "ArrowDown")
        elif kind in ("radio", "checkbox"):
            keyboard.press("Space")
        elif kind == "date":
            keyboard.type("01012026")
        elif control["name"] in ("input", "textarea"):
            keyboard.type("a")
        else:
            keyboard.press("Enter")

    def _wait(self, images: list[str] | None) -> list[str]:
        for _ in range(EFFECT_MS // 100):
            effects = [*self._seen, *self._own_effects()]
            if images is not None and self._images() != images:
                effects.append("image")
            if effects:
                return effects
            self.page.wait_for_timeout(100)
        return []

    def _images(self) -> list[str]:
        canvases = self.page.locator("main canvas")
        return [picture(one) for one in canvases.all()]

    def _own_effects(self) -> list[str]:
        return list(self.page.evaluate(_EFFECTS))

    def _close_dialog(self) -> bool:
        if self.page.locator("dialog[open]").count() == 0:
            return False
        self.page.keyboard.press("Escape")
        self.page.locator("dialog[open]").last.wait_for(state="hidden", timeout=5_000)
        return True

    def _on_download(self, _download: Download) -> None:
        self._seen.append("download")

    def _on_page(self, opened: Page) -> None:
        self._seen.append("window")
        opened.close()

    def _on_request(self, request: Request) -> None:
        # The services' streams and polls come and go by themselves.
        if request.is_navigation_request():
            self._seen.append("navigation")
