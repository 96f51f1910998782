"""``heimdallr deid start`` and ``deid review``: studies into projects, and what was held."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.deid.v1.review_service_pb2_grpc import DeidReviewServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.deid_names import (
    STATES,
    ProjectOption,
    as_dict,
    get_project,
    state_name,
    state_named,
)
from services.cli.results import StudyArgument, get_study
from services.cli.tables import literal

_console = Console(highlight=False)
_OBJECTS_PER_PAGE = 1000

review = typer.Typer(
    name="review", no_args_is_help=True, help="Series that were de-identified, and what is held."
)

StateOption = Annotated[str, typer.Option("--state", help=f"One of {', '.join(STATES)}.")]
SeriesArgument = Annotated[
    str, typer.Argument(help="Id of the de-identified series, as `list` shows it.")
]
ObjectArgument = Annotated[str, typer.Argument(help="Id of the object, as `show` shows it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why. No patient data.")]


def start(
    study: StudyArgument, data: DataOption, project: ProjectOption, as_json: JsonOption = False
) -> None:
    """Have a study de-identified for a project, series by series; it shows among its work.

    Exit codes: 0 begun or done already, 1 refused, 3 nothing runs, 4 not found.
    """
    run(_start(data, study, project, as_json=as_json))


@review.command("list")
def list_series(
    data: DataOption,
    project: Annotated[str, typer.Option("--project", help="Of one project alone.")] = "",
    state: StateOption = "",
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List de-identified series, the latest first."""
    run(_list(data, project, state_named(state), limit, as_json=as_json))


@review.command("show")
def show(
    series: SeriesArgument, data: DataOption, state: StateOption = "", as_json: JsonOption = False
) -> None:
    """Show what became of each object of a series, and why it is held.

    Exit codes: 0 shown, 3 nothing runs, 4 no such series.
    """
    run(_show(data, series, state_named(state), as_json=as_json))


@review.command("approve")
def approve(
    series: SeriesArgument,
    instance: ObjectArgument,
    data: DataOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Let an object go that was held, after somebody looked at it.

    It is de-identified again; an identifier that is found holds it whatever was approved.
    Exit codes: 0 approved, 1 refused or still held, 3 nothing runs, 4 not found.
    """
    run(_decide(data, series, instance, pb.DECISION_APPROVE, reason, as_json=as_json))


@review.command("reject")
def reject(
    series: SeriesArgument,
    instance: ObjectArgument,
    data: DataOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Keep an object inside that was held.

    Exit codes: 0 rejected, 1 refused, 3 nothing runs, 4 not found.
    """
    run(_decide(data, series, instance, pb.DECISION_REJECT, reason, as_json=as_json))


async def _start(data: Path | None, study: str, project: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        study_id = (await get_study(channel, study)).study.study_id
        project_id = (await get_project(channel, project)).project.project_id
        request = pb.StartDeidentificationRequest(project_id=project_id, study_id=study_id)
        answer = await DeidReviewServiceStub(channel).StartDeidentification(request)
    if as_json:
        print_json(as_dict(answer))
    elif answer.stage_ids:
        typer.echo(f"Begun: {len(answer.stage_ids)} series. See `heimdallr study {study_id}`.")
    else:
        typer.echo("Everything of it is done already for this project.")
    return 0


async def _list(
    data: Path | None, project: str, state: pb.ObjectState.ValueType, limit: int, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        chosen = (await get_project(channel, project)).project.project_id if project else ""
        request = pb.ListDeidentificationsRequest(project_id=chosen, state=state, page_size=limit)
        found = await DeidReviewServiceStub(channel).ListDeidentifications(request)
    if as_json:
        print_json([as_dict(one) for one in found.deidentifications])
        return 0
    if not found.deidentifications:
        typer.echo("Nothing was de-identified.")
        return 0
    table = Table("series", "modality", "pseudonym", "released", "held", "rejected")
    for one in found.deidentifications:
        counts = (one.released_count, one.held_count, one.rejected_count)
        names = (one.deidentification_id, literal(one.modality), literal(one.pseudonym))
        table.add_row(*names, *map(str, counts))
    _console.print(table)
    return 0


async def _show(
    data: Path | None, series: str, state: pb.ObjectState.ValueType, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        stub = DeidReviewServiceStub(channel)
        request = pb.GetDeidentificationRequest(
            deidentification_id=series, state=state, page_size=_OBJECTS_PER_PAGE
        )
        found = await stub.GetDeidentification(request)
        objects = list(found.objects)
        while found.next_page_token:
            request.page_token = found.next_page_token
            found = await stub.GetDeidentification(request)
            objects += found.objects
    if as_json:
        whole = {"deidentification": as_dict(found.deidentification)}
        print_json({**whole, "objects": [as_dict(one) for one in objects]})
    else:
        for one in objects:
            typer.echo("\n".join(object_lines(one)))
    return 0


async def _decide(
    data: Path | None,
    series: str,
    instance: str,
    decision: pb.Decision.ValueType,
    reason: str,
    *,
    as_json: bool,
) -> int:
    async with mesh(data) as channel:
        request = pb.DecideObjectRequest(
            deidentification_id=series, instance_id=instance, decision=decision, reason=reason
        )
        answer = await DeidReviewServiceStub(channel).DecideObject(request)
    if as_json:
        print_json(as_dict(answer.object))
    else:
        typer.echo("\n".join(object_lines(answer.object)))
    return EXIT_FAILED if answer.object.state == pb.OBJECT_STATE_HELD else 0


def object_lines(found: pb.DeidentifiedObject) -> list[str]:
    """Return what stands of an object, in lines without any value of it."""
    number = f"{found.instance_number:>6}" if found.instance_number else "     -"
    lines = [f"{number}  {state_name(found.state):<9} {found.instance_id}"]
    for one in found.findings:
        where = f" at {one.element}" if one.element else ""
        lines.append(f"        {one.code}{where}: {one.rule}")
    if found.decided_by:
        lines.append(f"        by {found.decided_by}: {found.decision_reason}")
    return lines
