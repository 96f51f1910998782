"""Projects as rows."""

from __future__ import annotations

from typing import Final

from services.coordinator.deidentification.errors import ProjectExistsError, ProjectNotFoundError
from services.coordinator.deidentification.project import Project, ProjectSpec, ProjectSummary
from services.coordinator.deidentification.rows import project_from_row
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.deidentification")
MAX_PROJECTS: Final = 1000


class ProjectStore:
    """Reads and changes projects.

    Args:
        pool: Pool of the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, spec: ProjectSpec) -> Project:
        """Make a project.

        Raises:
            ProjectExistsError: The name is taken.
        """
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(
                QUERIES["insert_project"],
                new_id(),
                spec.name,
                spec.description,
                spec.profile,
                spec.profile_key,
                spec.two_persons,
            )
        if row is None:
            raise ProjectExistsError(spec.name)
        return project_from_row(row)

    async def update(self, project_id: str, spec: ProjectSpec) -> Project:
        """Change all but the name.

        Raises:
            ProjectNotFoundError: No such project.
        """
        async with connection(self._pool) as borrowed:
            return await _update(borrowed, project_id, spec)

    async def update_profile(
        self, connection: Connection, project: Project, profile: bytes, profile_key: str
    ) -> Project:
        """Change what is taken out for a project that the caller has locked."""
        spec = ProjectSpec(
            project.name, project.description, profile, profile_key, project.two_persons
        )
        return await _update(connection, project.project_id, spec)

    async def locked(self, connection: Connection, project_id: str) -> Project:
        """Return a project and hold it until the transaction ends.

        Raises:
            ProjectNotFoundError: No such project.
        """
        row = await connection.fetchrow(QUERIES["lock_project"], project_id)
        if row is None:
            raise ProjectNotFoundError(project_id)
        return project_from_row(row)

    async def project(self, project_id: str) -> Project:
        """Return a project.

        Raises:
            ProjectNotFoundError: No such project.
        """
        async with connection(self._pool) as borrowed:
            return await project_of(borrowed, project_id)

    async def two_persons(self, project_id: str) -> bool:
        """Return whether another person must agree before a pseudonym is opened.

        Raises:
            ProjectNotFoundError: No such project.
        """
        return (await self.project(project_id)).two_persons

    async def projects(self) -> list[Project]:
        """Return projects by name."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["projects"], MAX_PROJECTS)
        return [project_from_row(row) for row in rows]

    async def summary(self, project_id: str) -> ProjectSummary:
        """Return how far a project's work has come."""
        async with transaction(self._pool) as borrowed:
            await borrowed.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = await borrowed.fetchrow(QUERIES["project_summary"], project_id)
            codes = await borrowed.fetch(QUERIES["held_by_code"], project_id)
        assert row is not None  # noqa: S101 -- an aggregate returns a row
        held = {one["code"]: one["count"] for one in codes}
        return ProjectSummary(**dict(row.items()), held_by_code=held)

    async def note_key(self, project_id: str, key_id: str, key_version: int) -> None:
        """Keep what is known of a project's key."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["note_key"], project_id, key_id, key_version)


async def project_of(borrowed: Connection, project_id: str) -> Project:
    """Return a project.

    Raises:
        ProjectNotFoundError: No such project.
    """
    row = await borrowed.fetchrow(QUERIES["project_by_id"], project_id)
    if row is None:
        raise ProjectNotFoundError(project_id)
    return project_from_row(row)


async def _update(borrowed: Connection, project_id: str, spec: ProjectSpec) -> Project:
    row = await borrowed.fetchrow(
        QUERIES["update_project"],
        project_id,
        spec.description,
        spec.profile,
        spec.profile_key,
        spec.two_persons,
    )
    if row is None:
        raise ProjectNotFoundError(project_id)
    return project_from_row(row)
