"""Sealed links and requests as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from services.coordinator.crosswalk.errors import ReidentificationNotFoundError
from services.coordinator.crosswalk.reidentification import (
    LASTS,
    Link,
    PseudonymKind,
    Question,
    Reidentification,
    State,
)
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.crosswalk")
MAX_REQUESTS: Final = 200


class CrosswalkStore:
    """Reads and changes requests, and reads what was sealed.

    Args:
        pool: Pool of the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def request(
        self, question: Question, subject: str, *, two_persons: bool
    ) -> Reidentification:
        """Keep that somebody asks; agreed at once where nobody else has to.

        Raises:
            ReidentificationNotFoundError: Nobody has that pseudonym.
        """
        state = State.WAITING if two_persons else State.AGREED
        async with transaction(self._pool) as borrowed:
            await _sealed(borrowed, question.project_id, question.kind, question.pseudonym)
            row = await borrowed.fetchrow(
                QUERIES["insert_request"],
                new_id(),
                question.project_id,
                question.kind,
                question.pseudonym,
                question.reason,
                subject,
                state,
                LASTS,
            )
        assert row is not None  # noqa: S101 -- an insert returns its row
        return _request(row)

    async def decide(
        self, reidentification_id: str, subject: str, *, agree: bool
    ) -> Reidentification:
        """Keep that another person agrees or refuses.

        Raises:
            ReidentificationNotFoundError: No such request.
            ReidentificationStateError: It does not wait, or it is who asked.
        """
        state = State.AGREED if agree else State.REFUSED
        async with transaction(self._pool) as borrowed:
            found = await _locked(borrowed, reidentification_id)
            found.check_decision(subject)
            row = await borrowed.fetchrow(
                QUERIES["decide_request"], reidentification_id, state, subject, LASTS
            )
        assert row is not None  # noqa: S101 -- its row is locked
        return _request(row)

    async def tell(self, reidentification_id: str, subject: str) -> tuple[Reidentification, bytes]:
        """Count that it is told and return what was sealed; the count stands before the telling.

        Raises:
            ReidentificationNotFoundError: No such request of this person.
            ReidentificationStateError: It may not be told.
        """
        async with transaction(self._pool) as borrowed:
            found = await _locked(borrowed, reidentification_id)
            found.check_telling(subject)
            sealed = await _sealed(borrowed, found.project_id, found.kind, found.pseudonym)
            await borrowed.execute(QUERIES["note_told"], reidentification_id)
        return found, sealed

    async def requests(self, project_id: str | None) -> list[Reidentification]:
        """Return the latest requests, of one project or of all."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["requests"], project_id, MAX_REQUESTS)
        return [_request(row) for row in rows]


async def keep_links(connection: Connection, project_id: str, links: Sequence[Link]) -> None:
    """Keep what was sealed, in the caller's transaction; what is known already stays."""
    # Two studies of one patient may end at once: in one order neither waits for the other.
    links = sorted(links, key=lambda link: (link.kind, link.pseudonym))
    if links:
        await connection.execute(
            QUERIES["keep_links"],
            project_id,
            [link.kind.value for link in links],
            [link.pseudonym for link in links],
            [link.sealed for link in links],
            [link.patient_tag for link in links],
            [link.key_version for link in links],
        )


async def known_versions(
    connection: Connection, project_id: str, patient_tags: Sequence[str]
) -> dict[str, int]:
    """Return the versions of the key by which patients were first known, by their tags."""
    rows = await connection.fetch(QUERIES["known_versions"], project_id, patient_tags)
    return {row["patient_tag"]: row["key_version"] for row in rows}


async def _sealed(
    borrowed: Connection, project_id: str, kind: PseudonymKind, pseudonym: str
) -> bytes:
    sealed: bytes | None = await borrowed.fetchval(
        QUERIES["link"], project_id, kind.value, pseudonym
    )
    if sealed is None:
        raise ReidentificationNotFoundError
    return sealed


async def _locked(borrowed: Connection, reidentification_id: str) -> Reidentification:
    row = await borrowed.fetchrow(QUERIES["lock_request"], reidentification_id)
    if row is None:
        raise ReidentificationNotFoundError(reidentification_id)
    return _request(row)


def _request(row: asyncpg.Record) -> Reidentification:
    fields = dict(row.items())
    expired = fields.pop("expired") and row["state"] != State.REFUSED
    fields["kind"] = PseudonymKind(row["kind"])
    fields["state"] = State.EXPIRED if expired else State(row["state"])
    return Reidentification(**fields)
