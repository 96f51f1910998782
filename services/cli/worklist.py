"""``heimdallr worklist``: what modalities are to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console

from heimdallr.worklist.v1 import performed_step_pb2 as performed_pb
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from heimdallr.worklist.v1.worklist_service_pb2_grpc import WorklistServiceStub
from services.cli.connection import (
    EXIT_FAILED,
    DataOption,
    JsonOption,
    file_errors,
    mesh,
    print_json,
    run,
)
from services.cli.worklist_tables import performed_table, steps_table

worklist = typer.Typer(
    name="worklist", no_args_is_help=True, help="What modalities are to do, and have done."
)

_STATES: Final = {
    name.removeprefix("SCHEDULED_STEP_STATE_").lower(): value
    for name, value in step_pb.ScheduledStepState.items()
    if value
}
_PERFORMED_STATES: Final = {
    name.removeprefix("PERFORMED_STEP_STATE_").lower().replace("_", "-"): value
    for name, value in performed_pb.PerformedStepState.items()
    if value
}
_STDIN: Final = Path("-")
_MOST_BYTES: Final = 3 << 20
DayOption = Annotated[str, typer.Option(help="Start date, YYYYMMDD.")]


@worklist.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, allow_dash=True, help="CSV file; - for standard input."
        ),
    ],
    data: DataOption,
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="Take no row when one is refused.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Schedule the rows of a CSV file.

    The first row names the columns: patient_id, patient_name, station, date, time and modality
    are needed; accession_number, step_id, procedure, step, patient_birth_date, patient_sex and
    others may be there. A row whose step is scheduled already replaces it, so a file can be
    imported again. Exit codes: 0 every row was taken, 1 some were refused, 2 wrong usage.
    """
    request = pb.ImportScheduledStepsRequest(csv=_content(file), all_or_nothing=all_or_nothing)
    run(_import(data, request, as_json=as_json), file)


@worklist.command("add")
def add(
    data: DataOption,
    patient_id: Annotated[str, typer.Option(help="Patient ID.")],
    patient_name: Annotated[str, typer.Option(help="Name as DICOM writes it: DOE^JANE.")],
    station: Annotated[list[str], typer.Option(help="AE title of the modality; may be repeated.")],
    date: DayOption,
    time: Annotated[str, typer.Option(help="Start time, HHMM.")],
    modality: Annotated[str, typer.Option(help="E.g. CT.")],
    accession_number: Annotated[str, typer.Option(help="Accession Number of the order.")] = "",
    procedure: Annotated[str, typer.Option(help="What was ordered.")] = "",
    step: Annotated[str, typer.Option(help="What is to be done.")] = "",
    birth_date: Annotated[str, typer.Option(help="Patient's birth date, YYYYMMDD.")] = "",
    sex: Annotated[str, typer.Option(help="M, F or O.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Put one procedure step on the worklist."""
    spec = step_pb.ScheduledStepSpec(
        patient=step_pb.ScheduledPatient(
            patient_id=patient_id,
            patient_name=patient_name,
            patient_birth_date=birth_date,
            patient_sex=sex,
        ),
        procedure=step_pb.RequestedProcedure(
            accession_number=accession_number, description=procedure
        ),
        scheduled_station_ae_titles=station,
        start_date=date,
        start_time=time.replace(":", ""),
        modality=modality,
        description=step,
    )
    run(_add(data, spec, as_json=as_json))


@worklist.command("list")
def list_steps(
    data: DataOption,
    state: Annotated[str, typer.Option(help=f"Only this state: {', '.join(_STATES)}.")] = "",
    station: Annotated[str, typer.Option(help="Only steps of this AE title.")] = "",
    modality: Annotated[str, typer.Option(help="Only steps of this modality.")] = "",
    date_from: DayOption = "",
    date_to: DayOption = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List scheduled procedure steps by start."""
    if state and state.lower() not in _STATES:
        raise typer.BadParameter(f"not one of {', '.join(_STATES)}", param_hint="--state")
    request = pb.ListScheduledStepsRequest(
        page_size=limit,
        state=_STATES.get(state.lower(), step_pb.SCHEDULED_STEP_STATE_UNSPECIFIED),
        scheduled_station_ae_title=station,
        modality=modality,
        start_date_from=date_from,
        start_date_to=date_to,
    )
    run(_list(data, request, as_json=as_json))


@worklist.command("cancel")
def cancel(
    step_id: Annotated[str, typer.Argument(help="Id of the step, from `worklist list`.")],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Take a step that has not begun off the worklist."""
    run(_cancel(data, step_id, as_json=as_json))


def _content(file: Path) -> bytes:
    # One byte more than is taken: the service then says that it is too large.
    with file_errors(file):
        if file == _STDIN:
            return sys.stdin.buffer.read(_MOST_BYTES + 1)
        with file.open("rb") as opened:
            return opened.read(_MOST_BYTES + 1)


@worklist.command("performed")
def performed(
    data: DataOption,
    state: Annotated[
        str, typer.Option(help=f"Only this state: {', '.join(_PERFORMED_STATES)}.")
    ] = "",
    study: Annotated[str, typer.Option(help="Only steps of this Study Instance UID.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what modalities say they did (MPPS), the latest heard of first."""
    if state and state.lower() not in _PERFORMED_STATES:
        raise typer.BadParameter(f"not one of {', '.join(_PERFORMED_STATES)}", param_hint="--state")
    request = pb.ListPerformedStepsRequest(
        page_size=limit,
        state=_PERFORMED_STATES.get(state.lower(), performed_pb.PERFORMED_STEP_STATE_UNSPECIFIED),
        study_instance_uid=study,
    )
    run(_performed(data, request, as_json=as_json))


async def _import(
    data: Path | None, request: pb.ImportScheduledStepsRequest, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        rows = (await WorklistServiceStub(channel).ImportScheduledSteps(request)).rows
    if as_json:
        print_json([_row_to_dict(row) for row in rows])
    else:
        _tell_rows(list(rows))
    refused = any(row.outcome == pb.IMPORT_OUTCOME_REFUSED for row in rows)
    return EXIT_FAILED if refused else 0


def _row_to_dict(row: pb.ImportedRow) -> dict[str, object]:
    found = MessageToDict(row, preserving_proto_field_name=True)
    return found | {"outcome": outcome_word(row.outcome)}


def _tell_rows(rows: list[pb.ImportedRow]) -> None:
    for row in rows:
        if row.outcome == pb.IMPORT_OUTCOME_REFUSED:
            typer.secho(f"line {row.line}: {row.field}: {row.rule}", err=True, fg="red")
    counts = {
        outcome_word(value): sum(row.outcome == value for row in rows)
        for value in pb.ImportOutcome.values()
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    typer.echo(told or "No rows.")


def outcome_word(outcome: pb.ImportOutcome.ValueType) -> str:
    """Return the word for what became of a row."""
    return pb.ImportOutcome.Name(outcome).removeprefix("IMPORT_OUTCOME_").lower().replace("_", " ")


async def _add(data: Path | None, spec: step_pb.ScheduledStepSpec, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        request = pb.CreateScheduledStepRequest(spec=spec)
        step = (await WorklistServiceStub(channel).CreateScheduledStep(request)).step
    _tell_step(step, "Scheduled", as_json=as_json)
    return 0


async def _cancel(data: Path | None, step_id: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        request = pb.CancelScheduledStepRequest(scheduled_step_id=step_id)
        step = (await WorklistServiceStub(channel).CancelScheduledStep(request)).step
    _tell_step(step, "Cancelled", as_json=as_json)
    return 0


async def _list(data: Path | None, request: pb.ListScheduledStepsRequest, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        response = await WorklistServiceStub(channel).ListScheduledSteps(request)
    if as_json:
        print_json([MessageToDict(s, preserving_proto_field_name=True) for s in response.steps])
    elif response.steps:
        Console(highlight=False).print(steps_table(list(response.steps)))
    else:
        typer.echo("No scheduled step: put some there with `heimdallr worklist import FILE.csv`.")
    if response.next_page_token and not as_json:
        typer.echo(f"There are more than {request.page_size}: narrow the list, or --limit.")
    return 0


async def _performed(
    data: Path | None, request: pb.ListPerformedStepsRequest, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        response = await WorklistServiceStub(channel).ListPerformedSteps(request)
    if as_json:
        print_json([MessageToDict(s, preserving_proto_field_name=True) for s in response.steps])
    elif response.steps:
        Console(highlight=False).print(performed_table(list(response.steps)))
    else:
        typer.echo("No modality has told of a procedure step.")
    if response.next_page_token and not as_json:
        typer.echo(f"There are more than {request.page_size}: narrow the list, or --limit.")
    return 0


def _tell_step(step: step_pb.ScheduledStep, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json(MessageToDict(step, preserving_proto_field_name=True))
    else:
        study = step.spec.procedure.study_instance_uid
        typer.echo(f"{done}: {step.scheduled_step_id}, study {study}")
