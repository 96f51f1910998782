"""Adds a rule to a project and has what it held made again."""

from __future__ import annotations

from heimdallr.deid.v1 import profile_pb2
from services.coordinator.deidentification.project_messages import with_rule
from services.coordinator.deidentification.project_store import ProjectStore
from services.coordinator.deidentification.review_store import ReviewStore
from services.coordinator.deidentification.starting import DeidStages
from services.runtime.postgres import Pool, transaction


class RuleAdding:
    """Adds rules.

    Args:
        pool: Pool of the database.
        projects: Where projects are kept.
        review: Knows what is held.
        stages: Has series run again.
    """

    def __init__(
        self, pool: Pool, projects: ProjectStore, review: ReviewStore, stages: DeidStages
    ) -> None:
        self._pool = pool
        self._projects = projects
        self._review = review
        self._stages = stages

    async def add(self, project_id: str, rule: profile_pb2.Rule) -> int:
        """Add a rule and return how many series are de-identified again.

        Raises:
            ProjectNotFoundError: No such project.
            InvalidFieldError: The project has as many rules as it may.
        """
        async with transaction(self._pool) as connection:
            project = await self._projects.locked(connection, project_id)
            profile, key = with_rule(project, rule)
            await self._projects.update_profile(connection, project, profile, key)
        count = 0
        # Study by study, each with its lock: intake must not wait for all of them.
        for study_id, series_ids in await self._review.studies_with_held(project_id):
            if await self._stages.run_again(project_id, study_id, series_ids):
                count += len(series_ids)
        self._stages.wake()
        return count
