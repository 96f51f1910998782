"""``heimdallr fetch``: bring a study from a registered peer into our store."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1.dicomweb_client_service_pb2_grpc import DicomWebClientServiceStub
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from heimdallr.dimse.v1.dimse_service_pb2_grpc import DimseServiceStub
from heimdallr.peers.v1.peers_service_pb2 import Peer
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.exchange import bar, console
from services.cli.peers import get_peer
from services.runtime.client import MeshChannel


class Way(Enum):
    """How a study is fetched."""

    GET = "get"
    MOVE = "move"
    WADO = "wado"


def fetch(
    peer: Annotated[str, typer.Argument(help="Name of the peer.")],
    study: Annotated[str, typer.Argument(help="Study Instance UID.")],
    data: DataOption,
    series: Annotated[str | None, typer.Option(help="Only this Series Instance UID.")] = None,
    by: Annotated[
        Way | None,
        typer.Option(help="C-GET, C-MOVE to us, or WADO-RS; without it C-GET, or WADO-RS."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a study from a peer.

    Exit codes: 0 all came, 1 something or everything did not, 2 wrong usage, 3 nothing runs,
    4 no such peer.
    """
    run(_fetch(data, peer, study, series or "", by, as_json=as_json))


async def _fetch(
    data: Path | None, name: str, study: str, series: str, by: Way | None, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        peer = await get_peer(channel, name)
        way = by or (Way.GET if peer.spec.HasField("dimse") else Way.WADO)
        found = await _followed(_call(channel, peer, study, series, way), name)
    if as_json:
        print_json({"by": way.value, **found})
    else:
        console.print(", ".join(f"{count} {what}" for what, count in found.items()) + ".")
    came = sum(count for what, count in found.items() if what not in ("failed", "remaining"))
    return 0 if came and not found["failed"] else EXIT_FAILED


def _call(channel: MeshChannel, peer: Peer, study: str, series: str, way: Way) -> Any:
    if way is Way.WADO:
        wanted = web_pb.RetrieveInstancesRequest(
            peer_id=peer.peer_id, study_instance_uid=study, series_instance_uid=series
        )
        return DicomWebClientServiceStub(channel).RetrieveInstances(wanted)
    keys = pb.RetrieveKeys(
        level=pb.QUERY_LEVEL_SERIES if series else pb.QUERY_LEVEL_STUDY,
        study_instance_uids=[study],
        series_instance_uids=[series] if series else [],
    )
    stub = DimseServiceStub(channel)
    if way is Way.GET:
        return stub.GetInstances(pb.GetInstancesRequest(peer_id=peer.peer_id, keys=keys))
    return stub.MoveInstances(pb.MoveInstancesRequest(peer_id=peer.peer_id, keys=keys))


async def _followed(call: Any, name: str) -> dict[str, int]:
    found = {"stored": 0, "known": 0, "failed": 0}
    with bar(f"Fetching from {name}") as shown:
        async for answer in call:
            found = _counts(answer)
            remaining = getattr(answer, "remaining_count", -1)
            done = sum(found.values())
            shown.show(done, done + remaining if remaining >= 0 else None)
    return found


def _counts(answer: Any) -> dict[str, int]:
    if isinstance(answer, pb.MoveInstancesResponse):
        sent = answer.completed_count + answer.warning_count
        return {"sent to us": sent, "failed": answer.failed_count}
    return {
        "stored": answer.stored_count,
        "known": answer.known_count,
        "failed": answer.failed_count,
    }
