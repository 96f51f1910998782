"""``heimdallr push``: send a study of ours to a registered peer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1.dicomweb_client_service_pb2_grpc import DicomWebClientServiceStub
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from heimdallr.dimse.v1.dimse_service_pb2_grpc import DimseServiceStub
from heimdallr.peers.v1.peers_service_pb2 import Peer
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.exchange import WebOnlyOption, bar, console, speaks_web
from services.cli.peers import get_peer
from services.cli.results import StudyArgument, get_study
from services.cli.tables import literal
from services.runtime.client import MeshChannel

_SHOWN: Final = 20
_PREFIX: Final = "STORE_OUTCOME_"


class Verify(Enum):
    """How it is made sure that the peer has what was sent."""

    NONE = "none"
    COUNT = "count"
    COMMITMENT = "commitment"


@dataclass(frozen=True)
class _Wanted:
    study: str
    series: tuple[str, ...]
    verify: Verify
    released_only: bool


_VERIFICATIONS: Final = {
    Verify.NONE: pb.VERIFICATION_UNSPECIFIED,
    Verify.COUNT: pb.VERIFICATION_COUNT,
    Verify.COMMITMENT: pb.VERIFICATION_COMMITMENT,
}


def push(
    study: StudyArgument,
    peer: Annotated[str, typer.Argument(help="Name of the peer.")],
    data: DataOption,
    series: Annotated[
        list[str] | None, typer.Option(help="Only this Series Instance UID; repeat for more.")
    ] = None,
    web: WebOnlyOption = None,
    verify: Annotated[
        Verify, typer.Option(help="Make sure that it arrived; commitment needs DIMSE.")
    ] = Verify.NONE,
    released_only: Annotated[
        bool,
        typer.Option(
            "--released-only",
            help="To a peer outside: send what is released although other instances are held.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send a study to a peer by C-STORE or STOW-RS.

    A peer outside gets the copies that its de-identification project released; without a project
    it gets nothing, and neither does it while something of the study is held. Exit codes: 0 the
    peer has all, 1 it has not, 2 wrong usage, 3 nothing runs, 4 no such study or peer.
    """
    wanted = _Wanted(study, tuple(series or ()), verify, released_only)
    run(_push(data, wanted, peer, web, as_json=as_json))


async def _push(
    data: Path | None, wanted: _Wanted, name: str, web: bool | None, *, as_json: bool
) -> int:
    async with mesh(data) as channel:
        peer = await get_peer(channel, name)
        found = (await get_study(channel, wanted.study)).study.study_instance_uid
        sent = await _send(channel, peer, found, wanted, web=speaks_web(peer, web))
    _print(sent, as_json=as_json)
    verified = sent["verified"] in (None, True)
    return 0 if sent["failed"] == 0 and sent["total"] and verified else EXIT_FAILED


async def _send(
    channel: MeshChannel, peer: Peer, study: str, wanted: _Wanted, *, web: bool
) -> dict[str, Any]:
    what: dict[str, Any] = {
        "peer_id": peer.peer_id,
        "study_instance_uids": [study],
        "series_instance_uids": wanted.series,
        "released_only": wanted.released_only,
    }
    call: Any
    if web:
        if wanted.verify is Verify.COMMITMENT:
            raise typer.BadParameter("not by DICOMweb", param_hint="--verify commitment")
        counted = wanted.verify is Verify.COUNT
        request = web_pb.StoreInstancesRequest(**what, verify_count=counted)
        call = DicomWebClientServiceStub(channel).StoreInstances(request)
    else:
        verification = _VERIFICATIONS[wanted.verify]
        call = DimseServiceStub(channel).StoreInstances(
            pb.StoreInstancesRequest(**what, verification=verification)
        )
    return await _followed(call, f"Sending to {peer.spec.name}", web=web)


async def _followed(call: Any, text: str, *, web: bool) -> dict[str, Any]:
    outcomes: list[dict[str, Any]] = []
    last: Any = None
    with bar(text) as shown:
        async for last in call:
            # Nothing is sent before all of it is de-identified.
            done = last.stored_count + last.failed_count
            shown.show(done or last.deidentified_count, last.total_count or None)
            outcomes += [_outcome(item, web=web) for item in last.instances]
    verification = last.count if web else last.verification
    asked = last.HasField("count" if web else "verification")
    return {
        "total": last.total_count,
        "stored": last.stored_count,
        "failed": last.failed_count,
        "held": last.held_count,
        "verified": verification.verified if asked else None,
        "verification": verification.text if asked else "",
        "outcomes": outcomes,
    }


def _outcome(item: Any, *, web: bool) -> dict[str, Any]:
    names = web_pb.StoreOutcome if web else pb.StoreOutcome
    return {
        "sop_instance_uid": item.sop_instance_uid,
        "outcome": names.Name(item.outcome).removeprefix(_PREFIX).lower(),
        "status": f"{item.status:04X}" if item.status else "",
        "reason": item.reason,
    }


def _print(sent: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(sent)
        return
    failed = [item for item in sent["outcomes"] if item["outcome"] in ("refused", "not_sent")]
    if failed:
        table = Table("SOP Instance UID", "status", "reason", title="Not there")
        for item in failed[:_SHOWN]:
            table.add_row(*(literal(item[k]) for k in ("sop_instance_uid", "status", "reason")))
        console.print(table)
        for reason, count in Counter(item["reason"] for item in failed).most_common():
            console.print(f"{count} x {reason}", markup=False)
    if sent["verification"]:
        style = "green" if sent["verified"] else "red"
        console.print(literal(sent["verification"]), style=style)
    if sent["held"]:
        console.print(f"{sent['held']} held by de-identification, not sent.", style="yellow")
    style = "green" if not sent["failed"] and sent["total"] else "red"
    console.print(f"{sent['stored']} of {sent['total']} stored.", style=style)
