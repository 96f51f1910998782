"""The report of ``heimdallr deid``: one HTML file that needs nothing else and holds no value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from services.deid.batch import RELEASED, FileOutcome
from services.deid.profile.options import Option, method_codes
from services.deid.profile.table import EDITION

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}"
    "th,td{border-bottom:1px solid #bbb;padding:.2rem .8rem;text-align:left}"
    "td.n{text-align:right}code{font-size:.85em}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}"
)
_MEANINGS: Final[Mapping[str, str]] = {
    "K": "kept as it was",
    "X": "removed",
    "Z": "emptied",
    "D": "replaced with a dummy or the pseudonym",
    "U": "replaced with another UID",
    "C": "cleaned, or its date moved",
}


def report_html(
    outcomes: Sequence[FileOutcome], options: Iterable[Option], version: str, time: str
) -> str:
    """Return the report.

    Files are named by their SHA-256, not by their names, which may say who is in them.

    Args:
        outcomes: What became of each file, with counts of actions.
        options: Of the profile.
        version: Of this software.
        time: When, ISO 8601 UTC.
    """
    released = sum(not one.reason for one in outcomes)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>De-identification</title>",
        f"<style>{_STYLE}</style><h1>De-identification</h1>",
        f"<p>{released} of {len(outcomes)} files released; Heimdallr {escape(version)}, ",
        f"{escape(time)}, PS3.15 Table E.1-1 {EDITION}.</p>",
        _table("Profile and options", ("Code", "Meaning"), method_codes(options)),
        _table("What became of files", ("Outcome", "Files"), _outcomes(outcomes)),
        _table("What was done to elements", ("Action", "Meaning", "Elements"), _actions(outcomes)),
        _table("Refused", ("Source SHA-256", "Code", "Reason"), _refused(outcomes)),
        _table(
            "Released",
            ("Source SHA-256", "SHA-256", "Texts sought", "Places blanked"),
            _released(outcomes),
        ),
    ]
    return "".join(parts) + "</html>\n"


def _outcomes(outcomes: Iterable[FileOutcome]) -> list[tuple[object, ...]]:
    return list(Counter(one.entry.outcome for one in outcomes).most_common())


def _actions(outcomes: Iterable[FileOutcome]) -> list[tuple[object, ...]]:
    counts: Counter[str] = Counter()
    for one in outcomes:
        counts.update(one.actions)
    return [(code, meaning, counts[code]) for code, meaning in _MEANINGS.items()]


def _refused(outcomes: Iterable[FileOutcome]) -> list[tuple[object, ...]]:
    return [
        (one.entry.source_sha256, one.entry.outcome, one.reason) for one in outcomes if one.reason
    ]


def _released(outcomes: Iterable[FileOutcome]) -> list[tuple[object, ...]]:
    return [
        (one.entry.source_sha256, one.entry.sha256, one.entry.sought, one.boxes)
        for one in outcomes
        if one.entry.outcome == RELEASED
    ]


def _table(title: str, heads: Iterable[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th scope=col>{escape(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"<td class=n>{value}</td>"
    text = escape(str(value))
    return f"<td><code>{text}</code></td>" if len(text) == 64 else f"<td>{text}</td>"
