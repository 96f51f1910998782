"""``heimdallr conformance``: what the running gateway offers its DICOM peers."""

from __future__ import annotations

from pathlib import Path

import typer
from google.protobuf.json_format import MessageToDict

from heimdallr.dimse.v1 import associations_service_pb2 as pb
from heimdallr.dimse.v1.associations_service_pb2_grpc import AssociationsServiceStub
from services.cli.conformance_text import markdown
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run


def conformance(data: DataOption, as_json: JsonOption = False) -> None:
    """Print the DICOM conformance statement of the running gateway, as Markdown.

    Exit status: 0 when printed, 1 when the gateway refuses, 3 when no stack runs.
    """
    run(_print(data, as_json=as_json))


async def _print(data: Path | None, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        found = await AssociationsServiceStub(channel).GetConformance(pb.GetConformanceRequest())
    if as_json:
        print_json(MessageToDict(found, preserving_proto_field_name=True))
    else:
        typer.echo(markdown(found), nl=False)
    return 0
