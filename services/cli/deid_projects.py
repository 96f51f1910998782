"""``heimdallr deid projects``: who gets pseudonyms under one key, and what is taken out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from heimdallr.deid.v1 import profile_pb2
from heimdallr.deid.v1 import project_service_pb2 as pb
from heimdallr.deid.v1.project_service_pb2_grpc import DeidProjectServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.deid_names import (
    PRESETS,
    ProjectArgument,
    as_dict,
    get_project,
    option_name,
    options_named,
    preset_name,
    preset_named,
)
from services.cli.tables import literal

_console = Console(highlight=False)
_PRESET_HELP: Final = f"One of {', '.join(PRESETS)}."

projects = typer.Typer(
    name="projects",
    no_args_is_help=True,
    help="De-identification projects of the running stack, each with a key of its own.",
)

DescriptionOption = Annotated[str | None, typer.Option(help="What it is for.")]
AddOption = Annotated[
    list[str] | None,
    typer.Option("--option", help="Besides the preset's, e.g. retain-uids; may be repeated."),
]
LeaveOption = Annotated[
    list[str] | None,
    typer.Option("--without", help="Option of the preset that is not wanted; may be repeated."),
]
PersonsOption = Annotated[
    bool | None,
    typer.Option(
        "--two-persons/--one-person",
        help="Whether somebody else must agree before a pseudonym is opened.",
    ),
]


@projects.command("list")
def list_projects(data: DataOption, as_json: JsonOption = False) -> None:
    """List the projects."""
    run(_list(data, as_json=as_json))


@projects.command("show")
def show(project: ProjectArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Show a project, how far its work has come, and why objects are held.

    Exit codes: 0 shown, 3 nothing runs, 4 no such project.
    """
    run(_show(data, project, as_json=as_json))


@projects.command("create")
def create(
    name: Annotated[str, typer.Argument(help="1 to 64 of a-z, 0-9 and '-'. It stays.")],
    data: DataOption,
    preset: Annotated[str, typer.Option(help=_PRESET_HELP)] = "basic",
    description: DescriptionOption = None,
    option: AddOption = None,
    without: LeaveOption = None,
    two_persons: PersonsOption = True,
    as_json: JsonOption = False,
) -> None:
    """Create a project. Two persons must agree to re-identify unless said otherwise.

    Exit codes: 0 created, 1 refused, 2 wrong usage, 3 nothing runs.
    """
    project = pb.Project(name=name, profile=profile_pb2.Profile(preset=preset_named(preset)))
    _change(project, description, option, without, two_persons)
    run(_create(data, project, as_json=as_json))


@projects.command("update")
def update(
    project: ProjectArgument,
    data: DataOption,
    preset: Annotated[str | None, typer.Option(help=_PRESET_HELP)] = None,
    description: DescriptionOption = None,
    option: AddOption = None,
    without: LeaveOption = None,
    two_persons: PersonsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a project; what is not named stays, and so does work that is done.

    Naming --option or --without replaces all that were named so before; its rules stay.
    Exit codes: 0 changed, 1 refused, 2 wrong usage, 3 nothing runs, 4 no such project.
    """
    changed = pb.Project()
    if preset is not None:
        changed.profile.preset = preset_named(preset)
    _change(changed, description, option, without, two_persons)
    given = (description is not None, option is not None, without is not None)
    run(_update(data, project, changed, given, two_persons, as_json=as_json))


@projects.command("rotate-key")
def rotate_key(project: ProjectArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Make a new version of a project's key, for patients that the project has not met.

    Those it has met keep their pseudonyms. Exit codes: 0 done, 1 the key is not at hand,
    3 nothing runs, 4 no such project.
    """
    run(_rotate(data, project, as_json=as_json))


def _change(
    project: pb.Project,
    description: str | None,
    option: list[str] | None,
    without: list[str] | None,
    two_persons: bool | None,
) -> None:
    project.description = description or ""
    project.profile.added_options.extend(options_named(option or [], "--option"))
    project.profile.left_out_options.extend(options_named(without or [], "--without"))
    project.two_persons = bool(two_persons)


async def _list(data: Path | None, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        found = (
            await DeidProjectServiceStub(channel).ListProjects(pb.ListProjectsRequest())
        ).projects
    if as_json:
        print_json([as_dict(project) for project in found])
        return 0
    if not found:
        typer.echo("No projects yet: `heimdallr deid projects create --help`.")
        return 0
    table = Table("name", "preset", "re-identified by", "description")
    for project in found:
        persons = "two persons" if project.two_persons else "one person"
        name, preset = literal(project.name), preset_name(project.profile.preset)
        table.add_row(name, preset, persons, literal(project.description))
    _console.print(table)
    return 0


async def _show(data: Path | None, text: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        found = await get_project(channel, text)
    if as_json:
        print_json(as_dict(found))
    else:
        typer.echo("\n".join(_told(found.project, found.summary)))
    return 0


async def _create(data: Path | None, project: pb.Project, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub = DeidProjectServiceStub(channel)
        made = (await stub.CreateProject(pb.CreateProjectRequest(project=project))).project
    _print(made, "created", as_json=as_json)
    return 0


async def _update(
    data: Path | None,
    text: str,
    changed: pb.Project,
    given: tuple[bool, bool, bool],
    two_persons: bool | None,
    *,
    as_json: bool,
) -> int:
    async with mesh(data) as channel:
        project = (await get_project(channel, text)).project
        wanted = merged(project, changed, given, two_persons)
        stub = DeidProjectServiceStub(channel)
        made = (await stub.UpdateProject(pb.UpdateProjectRequest(project=wanted))).project
    _print(made, "changed", as_json=as_json)
    return 0


def merged(
    project: pb.Project,
    changed: pb.Project,
    given: tuple[bool, bool, bool],
    two_persons: bool | None,
) -> pb.Project:
    """Return a project with what was named replaced, and all else as it was.

    Args:
        project: The project as it is.
        changed: What was named; its preset counts where it is not unspecified.
        given: Whether description, options added and options left out were named.
        two_persons: What was said of it, or None.
    """
    wanted = pb.Project()
    wanted.CopyFrom(project)
    description, added, left_out = given
    if description:
        wanted.description = changed.description
    if changed.profile.preset != profile_pb2.PROFILE_PRESET_UNSPECIFIED:
        wanted.profile.preset = changed.profile.preset
    if added:
        wanted.profile.added_options[:] = changed.profile.added_options
    if left_out:
        wanted.profile.left_out_options[:] = changed.profile.left_out_options
    if two_persons is not None:
        wanted.two_persons = two_persons
    return wanted


async def _rotate(data: Path | None, text: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        project = (await get_project(channel, text)).project
        request = pb.RotateProjectKeyRequest(project_id=project.project_id)
        answer = await DeidProjectServiceStub(channel).RotateProjectKey(request)
    if as_json:
        print_json(as_dict(answer))
    else:
        typer.echo(f"New patients of {project.name} get version {answer.key_version} of its key.")
    return 0


def _told(project: pb.Project, summary: pb.ProjectSummary) -> list[str]:
    profile = project.profile
    lines = [f"{project.name} ({project.project_id}): {preset_name(profile.preset)}"]
    if project.description:
        lines.append(project.description)
    for sign, options in (("with", profile.added_options), ("without", profile.left_out_options)):
        if options:
            lines.append(f"{sign}: {', '.join(map(option_name, options))}")
    lines += [f"rule {one.tag}: {_action(one.action)}, {one.reason}" for one in profile.rules]
    lines.append("re-identified by " + ("two persons" if project.two_persons else "one person"))
    counts = ("patient", "study", "released", "held", "approved", "rejected")
    lines.append(", ".join(f"{getattr(summary, f'{one}_count')} {one}" for one in counts))
    lines += [f"  held by {one.code}: {one.count}" for one in summary.held_by_code]
    return lines


def _action(action: int) -> str:
    return profile_pb2.RuleAction.Name(action).removeprefix("RULE_ACTION_").lower()  # type: ignore[arg-type]


def _print(project: pb.Project, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(project))
    else:
        typer.echo(f"{project.name} is {what}: {project.project_id}")
