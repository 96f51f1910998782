"""What is kept of a study that is deleted: nothing here; the crosswalk keeps its sealed links."""

from __future__ import annotations

from typing import Final

from services.coordinator.deidentification.project_store import QUERIES
from services.runtime.postgres import Connection

_STEPS: Final = ("forget_certificates", "forget_objects", "forget_series", "forget_requests")


async def forget_study(connection: Connection, study_id: str) -> None:
    """Take away what was de-identified of a study, in the caller's transaction.

    Who holds a released copy may still ask who stands behind its pseudonym: the crosswalk's links
    name no study of ours and stay.
    """
    for name in _STEPS:
        await connection.execute(QUERIES[name], study_id)
