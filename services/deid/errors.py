"""Why an object is not released. No text here ever carries a value from it."""

from __future__ import annotations


class DeidRefusedError(Exception):
    """The object is not released.

    Attributes:
        code: Stable code, e.g. "ENCAPSULATED_DOCUMENT".
        field: Keyword or tag of the element at fault; empty when it is the object as a whole.
        rule: The rule, in a sentence without values.
    """

    def __init__(self, code: str, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}" if field else rule)
        self.code = code
        self.field = field
        self.rule = rule
