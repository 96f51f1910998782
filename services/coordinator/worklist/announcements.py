"""The port by which performed steps are evidence of when a study is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.runtime.postgres import Connection


class Announcements(Protocol):
    """Told what performed steps say of studies, in the transaction that records it."""

    async def step_began(
        self, connection: Connection, study_instance_uid: str, step_uid: str
    ) -> None:
        """Learn that a modality began a step: more of the study may come."""
        ...

    async def step_ended(
        self,
        connection: Connection,
        study_instance_uid: str,
        step_uid: str,
        series: Mapping[str, Sequence[str]],
    ) -> None:
        """Learn that the step has ended.

        Args:
            connection: Connection with an open transaction.
            study_instance_uid: The study.
            step_uid: SOP Instance UID of the step.
            series: SOP Instance UIDs of what it made by Series Instance UID; empty when it does
                not say, or was broken off.
        """
        ...
