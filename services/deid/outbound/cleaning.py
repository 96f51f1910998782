"""Text of which only what identifies nobody is left.

What stays is chosen: words of medicine and of grammar, and numbers that measure something. The
rest goes, whoever it names, and a mark stands in its place, so that a reader sees the gap.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from services.deid.outbound.known import Known, alike, fold
from services.deid.outbound.patterns import spans
from services.deid.outbound.vocabulary import (
    FUNCTION_WORDS,
    NEGATIONS,
    NUMBER_WORDS,
    TITLES,
    UNITS,
    allowed_words,
    name_words,
)

MARK: Final = "[removed]"
_TOKEN: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*(?:\.\d+[a-z]*)?")
_SENTENCE: Final = re.compile(r"[.!?:;\n(]")
_STRANGE: Final = re.compile(r"[^ \t\n.,;:()/%+<>=?!\-±]")
_MARKED: Final = re.escape(MARK)
_NUMBER: Final = re.compile(r"\d{1,3}(?:\.\d{1,2})?", re.ASCII)
_SIZE: Final = re.compile(r"\d{1,3}(?:\.\d{1,2})?(?:x\d{1,3}(?:\.\d{1,2})?)*([a-z]*)", re.ASCII)
_TERM: Final = re.compile(
    r"[ctls]\d{1,2}|[tn]\d[a-d]?n\d[a-d]?m\d[a-d]?|[tn][0-4][a-d]?|m[01]|[1-6][a-c]|b\d{2}f?|t[12]w?|"
    r"\d{1,2}(?:st|nd|rd|th)"
)
# Nobody writes so long a word; patterns cost the square of its length.
_ENDLESS: Final = re.compile(r"\S{129,}")
_GONE_WORD: Final = " \u00f8 "
_BLANKS: Final = re.compile(r"[ \t]{3,}|\n{3,}")
_LONGEST_RUN: Final = 32
_AFTER_TITLE: Final = 3
_NEAR: Final = re.compile(r"[ \t,'&-]{1,3}")
_AFTER_INITIAL: Final = re.compile(r"\.[ \t,'&-]{0,2}")
_LONGEST_INITIAL: Final = 2
_SHORT: Final = 3
_A_NUMBER: Final = re.compile(r"no\b[.:#]?\s*[a-z]{0,4}[-/]?\d")
_BEFORE_NAMES: Final = frozenset({"by", "from", "for", "to", "with", "name", "patient", "cc"})


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text without identity.

    Attributes:
        text: What is left; ``MARK`` stands where something was.
        removed_count: Number of words that were taken out.
        is_negated_less: Whether a word is gone without which a sentence says the opposite.
    """

    text: str
    removed_count: int
    is_negated_less: bool = False


_FREE, _MEASURE, _GONE, _AGE = range(4)


@dataclass(slots=True)
class _Word:
    begin: int
    end: int
    text: str
    folded: str
    stays: bool = False
    form: int = _FREE


@dataclass(frozen=True, slots=True)
class _Forms:
    """What has a form, character by character; bands of age by where they begin."""

    states: bytearray
    bands: dict[int, str]


def normalised(text: str) -> str:
    """Return a text in one form (NFKC), without characters that nobody sees."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    kinds = ((one, unicodedata.category(one)) for one in plain)
    seen = "".join("-" if k == "Pd" else c for c, k in kinds if c in "\n\t" or k[0] != "C")
    shorter = _ENDLESS.sub(_GONE_WORD, seen)
    return _BLANKS.sub(lambda found: found[0][:2], shorter)


def cleaned(text: str, known: Known) -> Cleaned:
    """Return what may leave of a text.

    Args:
        text: Any text.
        known: Of the patient; it goes also where it is a word of medicine.
    """
    plain = normalised(text)
    forms = _forms(plain)
    words = [_word(found, forms) for found in _TOKEN.finditer(plain)]
    loud = not any(one.islower() for one in plain)
    for word in words:
        word.stays = word.form != _GONE and _may_stay(word) and not known.has_word(word.folded)
    _written_like_names(plain, words, loud=loud)
    _after_titles(plain, words)
    _known_runs(words, known)
    _beside_what_goes(plain, words, loud=loud)
    removed = [word for word in words if not word.stays]
    less = any(_negates(plain, word) for word in removed)
    return Cleaned(_rendered(plain, words, forms), len(removed), less)


def _forms(text: str) -> _Forms:
    forms = _Forms(bytearray(len(text)), {})
    for span in spans(text):
        state = _MEASURE if span.instead is None else _AGE if span.instead else _GONE
        if state == _AGE and any(forms.states[span.begin : span.end]):
            continue
        if span.instead:
            forms.bands[span.begin] = span.instead
        for at in range(span.begin, span.end):
            forms.states[at] = forms.states[at] or state
    return forms


def _word(found: re.Match[str], forms: _Forms) -> _Word:
    states = set(forms.states[found.start() : found.end()])
    # What is partly identifying is so as a whole.
    form = _GONE if _GONE in states else states.pop() if len(states) == 1 else _FREE
    if found.start() in forms.bands:
        form = _AGE
    return _Word(found.start(), found.end(), found[0], fold(found[0]), form=form)


def _may_stay(word: _Word) -> bool:
    if word.form in (_MEASURE, _AGE):
        return word.text.isascii()
    folded = word.folded.removesuffix("'s")
    if not word.text.isascii() or folded in TITLES:
        return False
    if folded in allowed_words() or _TERM.fullmatch(folded) or _NUMBER.fullmatch(folded):
        return True
    size = _SIZE.fullmatch(folded)
    return size is not None and size[1] in UNITS


def _written_like_names(text: str, words: Sequence[_Word], *, loud: bool) -> None:
    """Take out words that people are called, where they are written like a name."""
    before = ""
    for word in words:
        if word.stays and _may_be_a_name(word):
            named = before in _BEFORE_NAMES if loud else word.text[0].isupper()
            begins = not loud and _begins(text, word) and before not in _BEFORE_NAMES
            word.stays = not named or begins
        before = word.folded


def _may_be_a_name(word: _Word) -> bool:
    if word.folded in NEGATIONS or word.form in (_MEASURE, _AGE):
        return False
    text = word.text
    short = 1 < len(text) <= _SHORT and text.istitle() and text.isalpha()
    return short or word.folded.removesuffix("'s") in name_words()


def _begins(text: str, word: _Word) -> bool:
    """Tell whether a word begins a sentence or a line."""
    ahead = text[max(0, word.begin - 4) : word.begin].rstrip(" \t\"'*-")
    return not ahead or _SENTENCE.search(ahead[-1:]) is not None


def _after_titles(text: str, words: Sequence[_Word]) -> None:
    """Take out what stands after a title, as far as it is written like a name."""
    for at, word in enumerate(words):
        if word.folded not in TITLES:
            continue
        end = word.end
        for number, after in enumerate(words[at + 1 : at + 1 + _AFTER_TITLE]):
            like_a_name = after.text[0].isupper() or not number
            between = text[end : after.begin].removeprefix(".")
            if not like_a_name or not _NEAR.fullmatch(between):
                break
            after.stays, end = False, after.end


def _known_runs(words: Sequence[_Word], known: Known) -> None:
    """Take out words that make something known when they are read together."""
    forms = [alike(word.folded.replace("'", "").replace(".", "")) for word in words]
    for at in range(len(words)):
        run = ""
        for end in range(at, min(at + _LONGEST_RUN, len(words))):
            run += forms[end]
            if len(run) > known.longest:
                break
            if run in known.runs and not (end == at and words[at].folded in allowed_words()):
                for word in words[at : end + 1]:
                    word.stays = False


def _beside_what_goes(text: str, words: Sequence[_Word], *, loud: bool) -> None:
    """Take out what is part of a name or of an address by what stands beside it."""
    for order in (words, words[::-1], words):
        for one, other in pairwise(order):
            left, right = (one, other) if one.begin < other.begin else (other, one)
            if one.stays or not other.stays or not _are_near(text, left, right):
                continue
            spaced = not text[left.end : right.begin].strip()
            if _belongs(other, one, loud=loud, spaced=spaced):
                other.stays = False
    _numbers_beside(text, words)


def _are_near(text: str, left: _Word, right: _Word) -> bool:
    between = text[left.end : right.begin]
    if _NEAR.fullmatch(between):
        return True
    initial = len(left.text) <= _LONGEST_INITIAL and not left.text.isdigit()
    return initial and _AFTER_INITIAL.fullmatch(between) is not None


def _belongs(word: _Word, gone: _Word, *, loud: bool, spaced: bool) -> bool:
    """Tell whether a word is part of the name that a word beside it was part of."""
    if word.form in (_MEASURE, _AGE) or word.folded in NEGATIONS:
        return False
    if word.folded.removesuffix("'s") in name_words():
        return loud or spaced or word.text[0].isupper()
    written = word.text[0].isupper() and not word.text.isupper()
    return not loud and written and gone.text[0].isupper() and gone.form != _GONE


def _numbers_beside(text: str, words: Sequence[_Word]) -> None:
    for at, word in enumerate(words):
        if not word.stays or word.form in (_MEASURE, _AGE):
            continue
        if not (word.text[0].isdigit() or word.folded in NUMBER_WORDS):
            continue
        before = words[at - 1] if at else None
        after = words[at + 1] if at + 1 < len(words) else None
        if after and not after.stays and _are_near(text, word, after):
            word.stays = False
        elif before and not before.stays and _are_near(text, before, word):
            word.stays = after is not None and _is_counted(text, word, after)


def _is_counted(text: str, number: _Word, after: _Word) -> bool:
    return _are_near(text, number, after) and after.stays and after.folded not in FUNCTION_WORDS


def _negates(text: str, word: _Word) -> bool:
    return word.folded in NEGATIONS and not _A_NUMBER.match(text[word.begin :][:20].casefold())


def _rendered(text: str, words: Sequence[_Word], forms: _Forms) -> str:
    pieces: list[str] = []
    at = 0
    for word in words:
        pieces.append(_between(text, at, word.begin, forms))
        if word.stays:
            pieces.append(forms.bands.get(word.begin, word.text) + _sex(word, forms))
        else:
            pieces.append(MARK)
        at = word.end
    pieces.append(_between(text, at, len(text), forms))
    return re.sub(rf"{_MARKED}(?:[ \t.,:;()/%+<>=?!±-]*{_MARKED})+", MARK, "".join(pieces))


def _sex(word: _Word, forms: _Forms) -> str:
    sexed = word.begin in forms.bands and word.text[-1] in "MF"
    return f" {word.text[-1]}" if sexed else ""


def _between(text: str, begin: int, end: int, forms: _Forms) -> str:
    kept = (
        " " if forms.states[at] == _GONE or _STRANGE.match(text[at]) else text[at]
        for at in range(begin, end)
    )
    return "".join(kept)
