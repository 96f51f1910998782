"""Statements by name."""

from __future__ import annotations

import pytest

from services.runtime.queries import load_queries, parse_queries


def test_statements_are_found_by_name() -> None:
    text = "-- one: first\nSELECT 1;\n\n-- two: second\nSELECT\n  -- a comment\n  2;\n"

    assert parse_queries(text) == {"one": "SELECT 1", "two": "SELECT\n  -- a comment\n  2"}


@pytest.mark.parametrize(
    "text", ["-- one: a\nSELECT 1;\n-- one: b\nSELECT 2;\n", "-- one: a\n-- two: b\nSELECT 2;\n"]
)
def test_a_name_that_stands_twice_or_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one"):
        parse_queries(text)


def test_a_packages_statements_are_read() -> None:
    assert "insert_user" in load_queries("services.coordinator.access")
