"""``heimdallr token``: a token for an outside client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1.access_service_pb2_grpc import AccessServiceStub
from heimdallr.access.v1.permission_pb2 import Permission
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run

_PREFIX: Final = "PERMISSION_"
_READER: Final = ["archive_read", "workflow_read", "events_read", "analysis_read", "access_self"]


def token(
    client: Annotated[str, typer.Argument(help="Name of the client, for the audit trail.")],
    data: DataOption,
    permission: Annotated[
        list[str] | None,
        typer.Option(help=f"What it may do; repeat for more. Default: {', '.join(_READER)}."),
    ] = None,
    hours: Annotated[float, typer.Option(min=0.02, max=8760, help="How long it lives.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Print a bearer token. It cannot be shown again."""
    request = pb.IssueTokenRequest(
        client_name=client,
        permissions=[_permission(name) for name in permission or _READER],
        lifetime_seconds=int(hours * 3600),
    )
    run(_issue(data, request, as_json=as_json))


def _permission(name: str) -> Permission.ValueType:
    try:
        return Permission.Value(_PREFIX + name.upper())
    except ValueError:
        known = ", ".join(key.removeprefix(_PREFIX).lower() for key in Permission.keys()[1:])
        raise typer.BadParameter(f"{name} is none of: {known}", param_hint="permission") from None


async def _issue(data: Path | None, request: pb.IssueTokenRequest, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        issued = (await AccessServiceStub(channel).IssueToken(request)).token
    if as_json:
        expiry = issued.expire_time.ToJsonString()
        print_json({"token": issued.token, "expire_time": expiry})
    else:
        typer.echo(issued.token)
    return 0
