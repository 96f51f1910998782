"""Patients that merges link with those of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.coordinator.archive.conditions import IDENTITY
from services.coordinator.archive.matching import AnyOf, Match
from services.coordinator.archive.searches import Searches
from services.runtime.queries import load_queries

_LINKED: Final = load_queries("services.coordinator.archive", "patient.sql")["linked_patients"]


async def linked_patients(searches: Searches, matches: Sequence[Match]) -> list[UUID]:
    """Return our ids of the patients that are merged with those of the Patient IDs sought.

    A Patient ID that is sought by a wildcard links nobody.
    """
    patient_ids, issuers = (_values(matches, keyword) for keyword in IDENTITY)
    if patient_ids is None:
        return []
    async with searches.statement() as borrowed:
        beginnings = [value[:64] for value in patient_ids]
        rows = await borrowed.fetch(_LINKED, beginnings, patient_ids, issuers)
    return [row[0] for row in rows]


def _values(matches: Sequence[Match], keyword: str) -> list[str] | None:
    for match in matches:
        if match.keyword == keyword and isinstance(match.condition, AnyOf):
            return [value.strip(" ") for value in match.condition.values]
    return None
