"""``heimdallr studies``: find studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.tables import studies_table

_STATES = [name.removeprefix("STUDY_STATE_").lower() for name in pb.StudyState.keys()[1:]]


def studies(
    data: DataOption,
    text: Annotated[str, typer.Argument(help="Beginnings of words to look for.")] = "",
    state: Annotated[str, typer.Option(help=f"Only this state: {', '.join(_STATES)}.")] = "",
    modality: Annotated[str, typer.Option(help="Only studies with this modality.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List studies, the latest received first."""
    if state and state.lower() not in _STATES:
        raise typer.BadParameter(f"not one of {', '.join(_STATES)}", param_hint="--state")
    request = pb.ListStudiesRequest(
        page_size=limit,
        text=text,
        modality=modality.upper(),
        state=pb.StudyState.Value(f"STUDY_STATE_{state.upper() or 'UNSPECIFIED'}"),
    )
    run(_list(data, request, as_json=as_json))


async def _list(data: Path | None, request: pb.ListStudiesRequest, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        response = await ArchiveServiceStub(channel).ListStudies(request)
    if as_json:
        print_json([MessageToDict(s, preserving_proto_field_name=True) for s in response.studies])
    elif not response.studies:
        typer.echo(_none(request))
    else:
        console = Console(highlight=False)
        console.print(studies_table(list(response.studies), console.width))
    if response.next_page_token and not as_json:
        typer.echo(f"There are more than {request.page_size}: narrow the search, or --limit.")
    return 0


def _none(request: pb.ListStudiesRequest) -> str:
    if request.text or request.modality or request.state:
        return "No study matches the filter."
    return "There is no study yet: send some with `heimdallr send FOLDER`."
