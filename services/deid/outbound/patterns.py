"""What identifies by its form: addresses, dates, times, telephones, numbers that somebody has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.deid.outbound.ages import age_band
from services.deid.outbound.vocabulary import UNITS

_UNIT: Final = "|".join(sorted(UNITS - {"m", "s", "l", "g", "h"}, key=len, reverse=True))
_NUMBER: Final = r"-?\d{1,3}(?:\.\d{1,2})?"
_FAR: Final = r"(?<![\w@./-])"
_MONTH: Final = (
    r"(?:jan(?:uary|uar|eiro|vier)?|feb(?:ruary|ruar)?|fev(?:ereiro|rier)?|mar(?:ch|[cç]o|s)?|"
    r"märz|apr(?:il)?|abr(?:il)?|avril|may|mai|maio|mayo|june?|juni|junho|juin|july?|juli|julho|"
    r"juillet|aug(?:ust)?|ago(?:sto)?|août|sep(?:t(?:ember|embre)?)?|set(?:embro)?|o[ck]t(?:ober)?|"
    r"out(?:ubro)?|octobre|nov(?:ember|embro|embre)?|de[cz](?:ember|embro)?|décembre|dic)"
)
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th|\.)?"
_WAYS: Final = (
    "street|st|road|rd|avenue|ave|lane|drive|boulevard|blvd|court|square|terrace|crescent|highway|"
    "hwy|parkway"
)
_NAMED: Final = r"(?-i:[A-Z])[\w'.-]*\s+"

MEASURES: Final = (
    # 12 mm, 3.5 x 2 cm, 3-4 weeks, -120 HU, 30%
    re.compile(
        rf"{_FAR}{_NUMBER}(?:\s*(?:x|by|to|-|/|±)\s*{_NUMBER}){{0,3}}\s*-?\s*(?:{_UNIT})\b", re.I
    ),
    re.compile(rf"{_FAR}{_NUMBER}\s*%"),
    re.compile(rf"{_FAR}\d{{1,4}}\s*(?:ml|cc|hu|mgy|mg|mbq|ms)\b", re.I),
    re.compile(r"(?<!\w)\d{1,2}\s?o'clock\b", re.I),
    re.compile(r"\b(?:bi|li|pi|ti|ni|o|c|lung)-?rads\b", re.I),
)
"""Sizes, counts and places that measure something."""

_AGES: Final = (
    re.compile(
        r"(?<![\w.])(?P<n>\d{1,3})(?=\s*-?\s*(?P<u>years?|yrs?|months?|mos?|weeks?|days?)"
        r"\s*-?\s*old\b)",
        re.I,
    ),
    re.compile(r"(?<![\w.])(?P<n>\d{1,3})(?=\s*(?P<u>y)(?:/o|o|rs? old|\.o\.)(?!\w))", re.I),
    re.compile(r"\baged?\s*(?:of|is|was|:|=)?\s*(?P<n>\d{1,3})(?!\w|\s*(?:mm|cm))", re.I),
    re.compile(r"(?<![\w.])(?P<n>\d{2,3})(?P<sex>[MF])(?!\w)"),
)

_IDENTIFYING: Final = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"\b(?:https?|ftp|file|dicom)\s*:\s*//\S+",
        r"\bwww\.\S+",
        r"\S+\s*@\s*\S+",
        r"\S+\s*[(\[{]\s*at\s*[)\]}]\s*\S+",
        r"\S+\s+at\s+\S+\s+dot\s+\S+",
        r"(?<!\w)(?:[a-z]:)?[\\/](?:[\w.-]+[\\/])+[\w.-]*",
        r"\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|info|local|lan|eu|de|uk|br|pt|fr|it|es|ch)"
        r"\b",
        r"\d+(?:\s?\.\s?\d+){3,}",
        r"(?:[0-9a-f]{1,4}:){3,}[0-9a-f:]*",
        r"\d{4}\s*[-/.]\s*\d{1,2}\s*[-/.]\s*\d{1,2}(?:\s*t?\s*\d{1,2}:\d{2}(?::\d{2})?)?",
        r"(?<![\d.])\d{1,2}\s*([-/.])\s*\d{1,2}\s*\1\s*\d{2,4}(?![\d.])",
        r"(?<![\d.])\d{1,2}[-/.]\d{4}(?!\d)",
        rf"(?<!\w)(?:{_DAY}\s*(?:of\s+|de\s+)?[-/]?\s*){_MONTH}\b(?:\.?[\s,/-]*(?:of\s+|de\s+)?"
        r"'?\d{2,4}(?!\w))?",
        rf"\b{_MONTH}\b\.?\s*{_DAY}(?!\w|\s*(?:mm|cm|x))(?:[\s,]*'?\d{{4}}(?!\w))?",
        rf"\b{_MONTH}\b\.?[\s,/-]*(?:of\s+|de\s+)?'?\d{{2,4}}(?!\w)",
        r"(?<![\d.])(?:18|19|20)\d{2}(?!\d|\s*(?:ml|cc|hu|mgy|ms)\b)",
        r"(?<!\w)'\d{2}(?!\w)",
        r"\b(?:on|dated?)\s+\d{1,2}\s*[/.]\s*\d{1,2}(?![\d.]|\s*(?:mm|cm))",
        r"\b(?:since|from|until|of)\s+\d{1,2}/\d{1,2}(?![\d.])",
        r"(?<![\d./])(?:\d{2}/\d{1,2}|\d{1,2}/\d{2})(?![\d/])",
        r"(?<!\d)\d{1,2}\s*[:h]\s*\d{2}(?:\s*[:.]\s*\d{2})?(?:\s*[ap]\.?m\b\.?)?(?!\d)",
        r"(?<!\w)\d{1,2}\s*[ap]\.?m\b\.?",
        r"\b(?:mrn|id|ssn|nhs|nr|num|number|acc|accession|chart|record|account|acct|policy|room|"
        r"ward|bed|ext|extension|tel|telephone|phone|fax|pager|cell|mobile|zip|postcode|plz|cep|"
        r"cpf|apt|apartment|suite|box|flat|dob|born|#)\s*(?:[:#.=]|no\b\.?|number\b|is\b)*\s*"
        r"[a-z]{0,4}[-/]?\d[\w/-]*",
        r"(?<=\bno\.)\s*\d[\w/-]*",
        r"#\s*\d[\w/-]*",
        rf"\b\d{{1,5}}[a-z]?,?\s+(?:{_NAMED}){{1,3}}(?:{_WAYS})\b\.?",
        rf"\b(?:{_NAMED}){{1,2}}(?:{_WAYS})\b\.?,?\s+\d{{1,5}}[a-z]?\b(?!\s*(?:mm|cm))",
        r"\w+(?:straße|strasse|str\.|gasse|platz|allee|weg|laan|gatan|vej)[\s,]+\d{1,5}[a-z]?\b",
        r"\b(?:rua|avenida|travessa|calle|rue|plaza|piazza)\s+"
        r"(?:(?-i:[A-Z0-9])[\w'.-]*[\s,]*|d[aeo]s?\s+|la\s+){1,5}",
        r"\+?\(?\d[\d\s().:/-]*[\s().:/-]\d[\d\s().:/-]*",
        r"\d{4,}",
        r"\b(?:(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)[\s,.-]+){3,}"
        r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b",
    )
)
_DIGITS: Final = re.compile(r"\d")
_GROUPED: Final = _IDENTIFYING[-3]
_MOST_GROUPED: Final = 4
_YEARS: Final = {"y": 1.0, "m": 12.0, "w": 52.0, "d": 365.0}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text and what takes its place.

    Attributes:
        begin: Its first character.
        end: One after its last.
        instead: What stands there instead; None when it stays as it is, "" when it goes.
    """

    begin: int
    end: int
    instead: str | None


def spans(text: str) -> Iterator[Span]:
    """Yield what becomes a band of age, what stays as a measure, and what identifies.

    Where two overlap the first counts.
    """
    for pattern in _AGES:
        for found in pattern.finditer(text):
            yield Span(found.start("n"), found.end("n"), _band(found))
    for pattern in MEASURES:
        yield from (Span(found.start(), found.end(), None) for found in pattern.finditer(text))
    for pattern in _IDENTIFYING:
        for found in pattern.finditer(text):
            if pattern is _GROUPED and len(_DIGITS.findall(found[0])) <= _MOST_GROUPED:
                continue
            yield Span(found.start(), found.end(), "")


def _band(found: re.Match[str]) -> str:
    unit = (found.groupdict().get("u") or "y")[0].lower()
    return age_band(int(int(found["n"]) / _YEARS[unit]))
