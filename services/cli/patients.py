"""``heimdallr patients``: find patients, show their history, merge two that are one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.tables import literal, studies_table
from services.runtime.ids import is_id

if TYPE_CHECKING:
    from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceAsyncStub

patients = typer.Typer(
    name="patients", no_args_is_help=True, help="Patients, their history, and merges of two."
)

# As HL7 writes an identifier and who assigned it (CX, first and fourth component).
_ISSUER_AFTER: Final = "^^^"


def _named(patient: str) -> str:
    if not patient.partition(_ISSUER_AFTER)[0].strip():
        raise typer.BadParameter("a Patient ID or our id")
    return patient


PatientArgument = Annotated[
    str,
    typer.Argument(
        callback=_named, help="Our id, or the Patient ID; with its issuer as ID^^^ISSUER."
    ),
]


@patients.command("find")
def find(
    data: DataOption,
    name: Annotated[str, typer.Argument(help="Beginnings of words of the name.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List patients by name, the latest first."""
    match = pb.AttributeMatch(keyword="PatientName", values=pb.ValueList(values=[name]))
    request = pb.QueryRequest(
        level=pb.QUERY_LEVEL_PATIENT, matches=[match], fuzzy_names=True, limit=limit
    )
    run(_find(data, request, as_json=as_json))


@patients.command("show")
def show(patient: PatientArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Show a patient's identities, merges and studies."""
    run(_show(data, patient, as_json=as_json))


@patients.command("merge")
def merge(
    merged: PatientArgument,
    surviving: PatientArgument,
    data: DataOption,
    reason: Annotated[str, typer.Option(help="Why. No patient data.")],
    as_json: JsonOption = False,
) -> None:
    """Let SURVIVING stand for MERGED. What was sent stays as it is; `unmerge` undoes it."""
    run(_merge(data, merged, surviving, reason, as_json=as_json))


@patients.command("unmerge")
def unmerge(merged: PatientArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Undo the merge of a patient."""
    run(_unmerge(data, merged, as_json=as_json))


async def _find(data: Path | None, request: pb.QueryRequest, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        batches = [batch async for batch in ArchiveServiceStub(channel).Query(request)]
    found = [row.patient for batch in batches for row in batch.rows]
    if as_json:
        print_json([_plain(one) for one in found])
    elif not found:
        typer.echo("No patient of that name.")
    else:
        Console(highlight=False).print(_table(found))
    return 0


async def _show(data: Path | None, patient: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        history = await ArchiveServiceStub(channel).GetPatient(request_of(patient))
    if as_json:
        print_json(_plain(history))
        return 0
    console = Console(highlight=False)
    console.print(_table(list(history.identities)))
    for one in history.merges:
        console.print(literal(merge_text(one)))
    console.print(studies_table(list(history.studies), console.width))
    return 0


async def _merge(
    data: Path | None, merged: str, surviving: str, reason: str, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        stub = ArchiveServiceStub(channel)
        request = pb.MergePatientsRequest(
            merged_key=await _key(stub, merged),
            surviving_key=await _key(stub, surviving),
            reason=reason,
        )
        done = (await stub.MergePatients(request)).merge
    _tell(done, as_json=as_json)
    return 0


async def _unmerge(data: Path | None, merged: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub = ArchiveServiceStub(channel)
        request = pb.UnmergePatientsRequest(merged_key=await _key(stub, merged))
        response = await stub.UnmergePatients(request)
    if response.HasField("merge"):
        _tell(response.merge, as_json=as_json)
    else:
        typer.echo("{}" if as_json else "It was never merged.")
    return 0


async def _key(stub: ArchiveServiceAsyncStub, patient: str) -> str:
    """Return our id of the very patient that is named, merged or not."""
    if is_id(patient):
        return patient
    request = request_of(patient)
    wanted = request.identity
    for one in (await stub.GetPatient(request)).identities:
        named = (one.patient_id, one.issuer_of_patient_id)
        if named == (wanted.patient_id, wanted.issuer_of_patient_id):
            return one.patient_key
    raise typer.BadParameter("more identities than are listed: give our id")


def request_of(patient: str) -> pb.GetPatientRequest:
    """Return the request for a patient by our id, or by ID and issuer."""
    if is_id(patient):
        return pb.GetPatientRequest(patient_key=patient)
    patient_id, _, issuer = patient.partition(_ISSUER_AFTER)
    identity = pb.PatientIdentity(patient_id=patient_id, issuer_of_patient_id=issuer)
    return pb.GetPatientRequest(identity=identity)


def merge_text(merge: pb.PatientMerge) -> str:
    """Return a merge in one line."""
    when = merge.merge_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
    text = f"{merge.merged_key} merged into {merge.surviving_key} on {when} UTC"
    text += f" by {merge.merged_by}: {merge.reason}"
    if merge.HasField("unmerge_time"):
        ended = merge.unmerge_time.ToDatetime().strftime("%Y-%m-%d %H:%M")
        text += f"; undone on {ended} UTC by {merge.unmerged_by}"
    return text


def _tell(merge: pb.PatientMerge, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(merge))
    else:
        typer.echo(merge_text(merge))


def _plain(message: Message) -> dict[str, object]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _table(found: list[pb.Patient]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("patient", "id", "issuer", "born", "studies", "our id"):
        table.add_column(column, no_wrap=column == "our id", overflow="fold")
    for one in found:
        texts = (
            one.patient_name,
            one.patient_id,
            one.issuer_of_patient_id,
            one.patient_birth_date,
            str(one.study_count),
            one.patient_key,
        )
        table.add_row(*map(literal, texts))
    return table
