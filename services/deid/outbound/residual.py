"""Looks once more at text that is about to leave, knowing nothing of how it was cleaned."""

from __future__ import annotations

import re
from typing import Final

from services.deid.outbound.cleaning import MARK
from services.deid.outbound.known import Known, alike, fold
from services.deid.outbound.vocabulary import allowed_words

_PIECE: Final = re.compile(r"[a-z0-9]+")
_FORMS: Final = {
    "an address of mail or of the web is left": re.compile(r"@|://|\bwww\b"),
    "a number of five digits or more is left": re.compile(r"\d{5,}"),
    "a UID or a network address is left": re.compile(r"\d+\.\d+\.\d+\.\d+"),
    "a date is left": re.compile(
        r"\d{4}-\d{1,2}-\d{1,2}|(?<![\d.])\d{1,2}([/.-])\d{1,2}\1\d{2,4}(?![\d.])"
    ),
}
_MOST_PIECES: Final = 32


def what_is_left(text: str, known: Known) -> str:
    """Return the rule that a cleaned text breaks; "" when it breaks none."""
    folded = fold(text.replace(MARK, "\n"))
    if not folded.isascii() and any(one.isalpha() and not one.isascii() for one in folded):
        return "letters are left that are not of the Latin alphabet"
    for line in folded.split("\n"):
        pieces = _PIECE.findall(line)
        if any(piece in known.words for piece in pieces):
            return "a word that is known of the patient is left"
        if _reads_as_known(pieces, known):
            return "words are left that make what is known of the patient"
    return next((rule for rule, form in _FORMS.items() if form.search(folded)), "")


def _reads_as_known(pieces: list[str], known: Known) -> bool:
    forms = [alike(piece) for piece in pieces]
    for at in range(len(forms)):
        run = ""
        for end in range(at, min(at + _MOST_PIECES, len(forms))):
            run += forms[end]
            if len(run) > known.longest:
                break
            if run in known.runs and (end > at or pieces[at] not in allowed_words()):
                return True
    return False
