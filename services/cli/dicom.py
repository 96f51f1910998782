"""``heimdallr dicom``: what DICOM peers said of late, for support."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heimdallr.dimse.v1 import associations_service_pb2 as pb
from heimdallr.dimse.v1.associations_service_pb2_grpc import AssociationsServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.dicom.uids import sop_class_name

dicom = typer.Typer(
    name="dicom", no_args_is_help=True, help="What DICOM peers said of late, for support."
)
_COLUMNS: Final = (
    "began",
    "from",
    "calls",
    "address",
    "TLS",
    "contexts",
    "messages",
    "s",
    "outcome",
)
_GOOD: Final = frozenset({"RELEASED", "OPEN"})


@dicom.callback()
def _dicom() -> None:
    """What DICOM peers said of late, for support."""


@dicom.command("recent")
def recent(
    data: DataOption,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    messages: Annotated[
        bool, typer.Option("--messages", help="Show the last messages of each as well.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the last associations, the latest first. No patient data is in it.

    Exit status: 0 when listed, 1 when the gateway refuses, 3 when no stack runs.
    """
    run(_list(data, limit, messages=messages, as_json=as_json))


async def _list(data: Path | None, limit: int, *, messages: bool, as_json: bool) -> int:
    request = pb.ListRecentAssociationsRequest(page_size=limit)
    async with mesh(data) as channel:
        found = await AssociationsServiceStub(channel).ListRecentAssociations(request)
    if as_json:
        print_json([_document(association) for association in found.associations])
    elif not found.associations:
        typer.echo("No peer has asked for an association since the gateway was started.")
    else:
        _print(found.associations, Console(highlight=False), messages=messages)
    return 0


def _document(association: pb.RecentAssociation) -> dict[str, Any]:
    return MessageToDict(
        association, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _print(associations: Any, console: Console, *, messages: bool) -> None:
    if not messages:
        console.print(_table(associations))
        return
    for association in associations:
        console.print(_table([association]))
        console.print(_messages(association))


def _table(associations: Any) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in (
        "began",
        "from",
        "calls",
        "address",
        "TLS",
        "contexts",
        "messages",
        "s",
        "outcome",
    ):
        table.add_column(name, no_wrap=True)
    for one in associations:
        taken = sum(context.result == 0 for context in one.contexts)
        color = "green" if one.outcome in _GOOD else "yellow"
        table.add_row(
            one.begin_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
            escape(one.calling_ae_title),
            escape(one.called_ae_title),
            escape(one.peer_address),
            one.tls or "no",
            f"{taken} of {len(one.contexts)}",
            str(one.message_count),
            f"{one.duration_s:.1f}",
            f"[{color}]{escape(one.outcome.lower().replace('_', ' '))}[/{color}]",
        )
    return table


def _messages(association: pb.RecentAssociation) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("s", "", "message", "status", "SOP class", "PDUs", "bytes"):
        table.add_column(name, no_wrap=True)
    for one in association.messages:
        table.add_row(
            f"{one.offset_s:.3f}",
            "<-" if one.received else "->",
            one.kind,
            f"{one.status:04X}" if one.HasField("status") else "",
            escape(sop_class_name(one.sop_class_uid) or one.sop_class_uid),
            str(one.pdu_count),
            str(one.byte_count),
        )
    return table
