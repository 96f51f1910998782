"""Conditions of a statement: fixed text, every value a bound parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_PLACE: Final = "$?"


@dataclass(frozen=True, slots=True)
class Term:
    """A condition.

    Attributes:
        text: SQL with ``$?`` where a parameter stands.
        parameters: Their values.
    """

    text: str
    parameters: tuple[object, ...] = ()


def either(terms: Iterable[Term], other: Term) -> Term:
    """Return one condition: all of some, or another one."""
    every = list(terms)
    text = " AND ".join(term.text for term in every)
    parameters = tuple(value for term in every for value in term.parameters)
    return Term(f"(({text}) OR {other.text})", parameters + other.parameters)


def numbered(terms: Iterable[Term], taken: int = 0) -> tuple[str, list[object]]:
    """Return conditions AND-ed with numbered places, and the parameters of those.

    Args:
        terms: The conditions.
        taken: How many places the statement has before them.
    """
    parameters: list[object] = []
    texts: list[str] = []
    for term in terms:
        text, *pieces = term.text.split(_PLACE)
        for piece, value in zip(pieces, term.parameters, strict=True):
            parameters.append(value)
            text += f"${taken + len(parameters)}{piece}"
        texts.append(text)
    return " AND ".join(texts) or "true", parameters
