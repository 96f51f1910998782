"""``heimdallr query``: search a registered peer."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydicom.datadict import keyword_for_tag
from rich.console import Console
from rich.table import Table

from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1.dicomweb_client_service_pb2_grpc import DicomWebClientServiceStub
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from heimdallr.dimse.v1.dimse_service_pb2_grpc import DimseServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.exchange import WebOnlyOption, console, speaks_web
from services.cli.peers import get_peer
from services.cli.tables import literal
from services.runtime.client import MeshChannel

_UNSHOWN: Final = frozenset({"00080005", "00080052", "00080054", "00081190", "00080056"})


class Level(Enum):
    """What is looked for."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


_DIMSE_LEVELS: Final = {
    Level.PATIENT: pb.QUERY_LEVEL_PATIENT,
    Level.STUDY: pb.QUERY_LEVEL_STUDY,
    Level.SERIES: pb.QUERY_LEVEL_SERIES,
    Level.INSTANCE: pb.QUERY_LEVEL_IMAGE,
}
_WEB_LEVELS: Final = {
    Level.STUDY: web_pb.SEARCH_LEVEL_STUDY,
    Level.SERIES: web_pb.SEARCH_LEVEL_SERIES,
    Level.INSTANCE: web_pb.SEARCH_LEVEL_INSTANCE,
}
_ASKED: Final = {
    Level.PATIENT: ("PatientID", "PatientName", "PatientBirthDate"),
    Level.STUDY: (
        "StudyDate",
        "PatientName",
        "PatientID",
        "AccessionNumber",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: ("SeriesNumber", "Modality", "SeriesDescription"),
    Level.INSTANCE: ("InstanceNumber", "SOPClassUID"),
}


def query(
    peer: Annotated[str, typer.Argument(help="Name of the peer.")],
    keys: Annotated[
        list[str] | None,
        typer.Argument(help="What it must match, e.g. PatientName='DOE*' StudyDate=20260101-."),
    ] = None,
    *,
    data: DataOption,
    level: Annotated[Level, typer.Option(help="What is looked for.")] = Level.STUDY,
    field: Annotated[
        list[str] | None, typer.Option(help="Attribute to ask for besides; repeat for more.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many.")] = 100,
    web: WebOnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a peer by C-FIND or QIDO-RS.

    Exit codes: 0 something is found, 1 nothing is, 2 wrong usage, 3 nothing runs, 4 no such peer.
    """
    wanted = [_key(text) for text in keys or ()]
    run(_query(data, peer, level, wanted, field or [], limit, web, as_json=as_json))


def _key(text: str) -> tuple[str, str]:
    keyword, sign, value = text.partition("=")
    if not sign or not keyword:
        raise typer.BadParameter(f"{text}: not KEYWORD=VALUE", param_hint="KEYS")
    return keyword, value


async def _query(
    data: Path | None,
    name: str,
    level: Level,
    keys: list[tuple[str, str]],
    fields: list[str],
    limit: int,
    web: bool | None,
    *,
    as_json: bool,
) -> int:
    given = {keyword for keyword, _ in keys}
    asked = [keyword for keyword in (*_ASKED[level], *fields) if keyword not in given]
    async with mesh(data) as channel:
        peer = await get_peer(channel, name)
        if speaks_web(peer, web):
            call = _search(channel, peer.peer_id, level, keys, asked, limit)
        else:
            call = _find(channel, peer.peer_id, level, keys, asked, limit)
        matches, truncated = list[dict[str, Any]](), False
        with console.status(f"Asking {literal(name)}"):
            async for answer in call:
                matches += map(json.loads, answer.matches)
                truncated = answer.truncated
    if as_json:
        print_json({"matches": matches, "truncated": truncated})
    else:
        _print(matches, truncated=truncated)
    return 0 if matches else EXIT_FAILED


def _find(
    channel: MeshChannel,
    peer_id: str,
    level: Level,
    keys: list[tuple[str, str]],
    asked: list[str],
    limit: int,
) -> Any:
    patients = level is Level.PATIENT
    model = pb.INFORMATION_MODEL_PATIENT_ROOT if patients else pb.INFORMATION_MODEL_STUDY_ROOT
    found = [*keys, *((keyword, "") for keyword in dict.fromkeys(asked))]
    request = pb.FindMatchesRequest(
        peer_id=peer_id,
        model=model,
        level=_DIMSE_LEVELS[level],
        keys=[pb.Key(keyword=keyword, value=value) for keyword, value in found],
        limit=limit,
    )
    return DimseServiceStub(channel).FindMatches(request)


def _search(
    channel: MeshChannel,
    peer_id: str,
    level: Level,
    keys: list[tuple[str, str]],
    asked: list[str],
    limit: int,
) -> Any:
    if level not in _WEB_LEVELS:
        raise typer.BadParameter("DICOMweb knows no patients", param_hint="--level")
    above = {"StudyInstanceUID": "", "SeriesInstanceUID": ""}
    if level is Level.STUDY:
        above = {}
    elif level is Level.SERIES:
        above.pop("SeriesInstanceUID")
    above |= {keyword: value for keyword, value in keys if keyword in above}
    matching = [(keyword, value) for keyword, value in keys if keyword not in above and value]
    request = web_pb.SearchMatchesRequest(
        peer_id=peer_id,
        level=_WEB_LEVELS[level],
        study_instance_uid=above.get("StudyInstanceUID", ""),
        series_instance_uid=above.get("SeriesInstanceUID", ""),
        keys=[web_pb.SearchKey(keyword=keyword, value=value) for keyword, value in matching],
        include_fields=dict.fromkeys(asked),
        limit=limit,
    )
    return DicomWebClientServiceStub(channel).SearchMatches(request)


def _print(matches: list[dict[str, Any]], *, truncated: bool) -> None:
    tags = [tag for tag in dict.fromkeys(t for m in matches for t in m) if tag not in _UNSHOWN]
    shown = [tag for tag in tags if any(_text(match.get(tag)) for match in matches)]
    table = Table(*(keyword_for_tag(int(tag, 16)) or tag for tag in shown))
    for match in matches:
        table.add_row(*(literal(_text(match.get(tag))) for tag in shown))
    if matches:
        Console(highlight=False).print(table)
    more = " and there are more: raise --limit" if truncated else ""
    console.print(f"{len(matches)} found{more}.")


def _text(element: Any) -> str:
    values = element.get("Value", ()) if isinstance(element, dict) else ()
    return "\\".join(
        str(value.get("Alphabetic", "")) if isinstance(value, dict) else str(value)
        for value in values
    )
