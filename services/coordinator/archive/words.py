"""Words by which studies are found: without case and accents, nothing else changed."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MAX_WORD: Final = 64
_MAX_WORDS: Final = 256
# '^' and '=' separate the components and groups of a person name (PS3.5 section 6.2).
_SEPARATORS: Final = re.compile(r"[\s^=,;\\\x00-\x1f]+")
_INNER: Final = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Return a text without case and combining marks."""
    parts = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in parts if not unicodedata.combining(char))


def sought_words(text: str) -> list[str]:
    """Return the words of a search, punctuation included: each is meant literally."""
    return [word[:_MAX_WORD] for word in _SEPARATORS.split(folded(text)) if word]


def parted(text: str) -> list[str]:
    """Return the words of a text, those with punctuation in them in parts."""
    parts = (part for word in sought_words(text) for part in _INNER.split(word))
    return [part for part in parts if part]


def indexed_words(*texts: str) -> list[str]:
    """Return the words under which texts are found, sorted.

    A word with punctuation in it, like "O'NEIL" or "ACC-1234", is found by its parts too. Of more
    words than the index takes the first ones count.
    """
    found: dict[str, None] = {}
    for word in (word for text in texts for word in sought_words(text)):
        found.update(dict.fromkeys((word, *filter(None, _INNER.split(word)))))
    return sorted(list(found)[:_MAX_WORDS])


def name_key(name: str) -> str:
    """Return a person name as it is matched: without case, accents and empty last components.

    Each component group (PS3.5 section 6.2.1) stands between two '=', so that any one of them, or
    all, can be looked for.
    """
    groups = [_trimmed(group) for group in folded(name).split("=")]
    return f"={'='.join(groups).rstrip('=')}="


def prefix_query(words: list[str]) -> str:
    """Return a ``tsquery`` that wants every word as the beginning of some word."""
    return " & ".join(f"{_quoted(word)}:*" for word in words)


def _trimmed(group: str) -> str:
    return "^".join(component.strip() for component in group.split("^")).rstrip("^")


def _quoted(word: str) -> str:
    doubled = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
