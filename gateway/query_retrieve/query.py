"""A C-FIND identifier as a query: its level, what must match, what is wanted (PS3.4 C.4.1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.query_retrieve.attributes import Attribute, known
from gateway.query_retrieve.identifier import QUERY_RETRIEVE_LEVEL, Identifier
from gateway.query_retrieve.matching import Condition, MatchingError, Values, condition
from gateway.query_retrieve.models import UNIQUE_KEYS, Level, Model

RETRIEVE_AE_TITLE: Final = 0x00080054
INSTANCE_AVAILABILITY: Final = 0x00080056
_OF_EVERY_ANSWER: Final = frozenset({RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY})
# Terms of the query itself, which no entity has.
_NO_ATTRIBUTES: Final = frozenset({QUERY_RETRIEVE_LEVEL, 0x00080201})
RELATIONAL: Final = 0
FUZZY_NAMES: Final = 2
"""Places of options in extended negotiation (PS3.4 C.5.1.1)."""


class IdentifierError(Exception):
    """An identifier does not fit its SOP class.

    Attributes:
        rule: What is wrong, without values.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Query:
    """What a C-FIND asks.

    Attributes:
        level: What is looked for.
        conditions: What must match, by keyword.
        wanted: Attributes that answers hold, by tag; None for one that we do not know.
    """

    level: Level
    conditions: Mapping[str, Condition]
    wanted: Mapping[int, Attribute | None]

    @property
    def is_whole(self) -> bool:
        """Whether every key that was asked for is known and, where it has a value, matched."""
        return all(
            attribute is not None or tag in _OF_EVERY_ANSWER
            for tag, attribute in self.wanted.items()
        )


def level_of(identifier: Identifier, model: Model) -> Level:
    """Return the level that an identifier states.

    Raises:
        IdentifierError: None, or none of the model.
    """
    stated = identifier.values(QUERY_RETRIEVE_LEVEL)
    names = {level.value: level for level in model.levels}
    if len(stated) != 1 or stated[0] not in names:
        raise IdentifierError("QueryRetrieveLevel is none of the model")
    return names[stated[0]]


def read_query(identifier: Identifier, model: Model, *, relational: bool) -> Query:
    """Return what an identifier asks.

    Args:
        identifier: The identifier.
        model: Information model of the SOP class.
        relational: Whether the keys above the level may be left out (PS3.4 C.4.1.2.2).

    Raises:
        IdentifierError: It does not fit the model, or a value cannot be matched.
    """
    level = level_of(identifier, model)
    attributes = known(level)
    wanted = {tag: attributes.get(tag) for tag in identifier.keys if tag not in _NO_ATTRIBUTES}
    conditions = {}
    for tag, attribute in wanted.items():
        if attribute is not None and attribute.matched:
            asked = _condition(identifier, tag, attribute)
            if asked is not None:
                conditions[attribute.keyword] = asked
    if not relational:
        _require_keys_above(conditions, model, level)
    return Query(level, conditions, wanted)


def _condition(identifier: Identifier, tag: int, attribute: Attribute) -> Condition | None:
    try:
        return condition(identifier.keys[tag], attribute.vr)
    except MatchingError as error:
        raise IdentifierError(f"{attribute.keyword}: {error.rule}") from None


def _require_keys_above(conditions: Mapping[str, Condition], model: Model, level: Level) -> None:
    for above in model.above(level):
        keyword = known(level)[UNIQUE_KEYS[above]].keyword
        asked = conditions.get(keyword)
        if not isinstance(asked, Values) or len(asked.values) != 1:
            raise IdentifierError(f"{keyword}: one value is required")
