"""axe-core looks at a page."""

from __future__ import annotations

from typing import Any, Final, get_args

from playwright.sync_api import Page

from tests.support.browser import DASHBOARD, Theme, Visitor

_AXE: Final = DASHBOARD / "node_modules/axe-core/axe.min.js"
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_THEMES: Final[tuple[Theme, ...]] = get_args(Theme)


def assert_accessible(visitor: Visitor) -> None:
    """Have axe look at the page as it is, in both themes."""
    for theme in _THEMES:
        visitor.use_theme(theme)
        assert violations(visitor.page) == [], theme


def violations(page: Page) -> list[str]:
    """Return what axe holds against the page, with the elements."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE.read_text())
    found: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })", _TAGS
    )
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
