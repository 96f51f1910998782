"""``heimdallr deid reidentify``: who stands behind a pseudonym, for a reason and on the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from heimdallr.deid.v1 import crosswalk_service_pb2 as pb
from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from heimdallr.deid.v1.crosswalk_service_pb2_grpc import CrosswalkServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.deid_names import ProjectOption, as_dict, get_project
from services.cli.tables import literal

_console = Console(highlight=False)
_KINDS: Final = {
    "patient": deid_pb.PSEUDONYM_KIND_PATIENT,
    "study": deid_pb.PSEUDONYM_KIND_STUDY,
    "series": deid_pb.PSEUDONYM_KIND_SERIES,
}
EXIT_WAITS: Final = 5

reidentify = typer.Typer(
    name="reidentify",
    no_args_is_help=True,
    help="Who stands behind a pseudonym. Every step is recorded.",
)

RequestArgument = Annotated[str, typer.Argument(help="Id of the request, as `list` shows it.")]


@reidentify.command("ask")
def ask(
    pseudonym: Annotated[str, typer.Argument(help="Patient ID or UID that the project gave.")],
    data: DataOption,
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Why, 10 to 1,000 characters.")],
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(_KINDS)}.")] = "patient",
    as_json: JsonOption = False,
) -> None:
    """Ask who stands behind a pseudonym. `tell` tells it, once that is agreed.

    Exit codes: 0 it may be told, 1 refused, 2 wrong usage, 3 nothing runs, 4 no such project or
    pseudonym, 5 another person has to agree.
    """
    if kind not in _KINDS:
        raise typer.BadParameter(f"one of {', '.join(_KINDS)}", param_hint="--kind")
    run(_ask(data, project, _KINDS[kind], pseudonym, reason, as_json=as_json))


@reidentify.command("list")
def list_requests(data: DataOption, as_json: JsonOption = False) -> None:
    """List requests, the latest first."""
    run(_list(data, as_json=as_json))


@reidentify.command("agree")
def agree(request: RequestArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Agree that a pseudonym of another person's request is told.

    Exit codes: 0 agreed, 1 it does not wait or is your own, 3 nothing runs, 4 no such request.
    """
    run(_decide(data, request, agreed=True, as_json=as_json))


@reidentify.command("refuse")
def refuse(request: RequestArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Refuse another person's request.

    Exit codes: 0 refused, 1 it does not wait or is your own, 3 nothing runs, 4 no such request.
    """
    run(_decide(data, request, agreed=False, as_json=as_json))


@reidentify.command("tell")
def tell(request: RequestArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Tell who stands behind the pseudonym of your own request.

    Exit codes: 0 told, 1 not agreed to, or too late, 3 nothing runs, 4 no such request.
    """
    run(_tell(data, request, as_json=as_json))


async def _ask(
    data: Path | None,
    project: str,
    kind: deid_pb.PseudonymKind.ValueType,
    pseudonym: str,
    reason: str,
    *,
    as_json: bool,
) -> int:
    async with mesh(data) as channel:
        project_id = (await get_project(channel, project)).project.project_id
        request = pb.RequestReidentificationRequest(
            project_id=project_id, kind=kind, pseudonym=pseudonym, reason=reason
        )
        answer = await CrosswalkServiceStub(channel).RequestReidentification(request)
    return _print(answer.reidentification, as_json=as_json)


async def _list(data: Path | None, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub = CrosswalkServiceStub(channel)
        found = await stub.ListReidentifications(pb.ListReidentificationsRequest())
    if as_json:
        print_json([as_dict(one) for one in found.reidentifications])
        return 0
    if not found.reidentifications:
        typer.echo("Nobody has asked yet.")
        return 0
    table = Table("request", "pseudonym", "state", "told", "asked by", "reason")
    for one in found.reidentifications:
        told = (one.reidentification_id, literal(one.pseudonym), state_word(one.state))
        table.add_row(*told, str(one.told_count), literal(one.requested_by), literal(one.reason))
    _console.print(table)
    return 0


async def _decide(data: Path | None, request_id: str, *, agreed: bool, as_json: bool) -> int:
    async with mesh(data) as channel:
        request = pb.DecideReidentificationRequest(reidentification_id=request_id, agree=agreed)
        answer = await CrosswalkServiceStub(channel).DecideReidentification(request)
    _print(answer.reidentification, as_json=as_json)
    return 0


async def _tell(data: Path | None, request_id: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        request = pb.ReidentifyRequest(reidentification_id=request_id)
        identity = (await CrosswalkServiceStub(channel).Reidentify(request)).identity
    if as_json:
        print_json(as_dict(identity))
        return 0
    for name, value in as_dict(identity).items():
        if value:
            _console.print(f"{name.replace('_', ' ')}: {literal(value)}")
    return 0


def _print(request: pb.Reidentification, *, as_json: bool) -> int:
    if as_json:
        print_json(as_dict(request))
    else:
        typer.echo(f"{request.reidentification_id}: {state_word(request.state)}")
    return EXIT_WAITS if request.state == pb.REIDENTIFICATION_STATE_WAITING else 0


def state_word(state: pb.ReidentificationState.ValueType) -> str:
    """Return where a request stands, in a word."""
    return pb.ReidentificationState.Name(state).rpartition("_STATE_")[2].lower()
