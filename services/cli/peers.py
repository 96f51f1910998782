"""``heimdallr peers``: the systems that we exchange images with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1.dicomweb_client_service_pb2_grpc import DicomWebClientServiceStub
from heimdallr.dimse.v1 import dimse_service_pb2 as dimse_pb
from heimdallr.dimse.v1.dimse_service_pb2_grpc import DimseServiceStub
from heimdallr.peers.v1 import peers_service_pb2 as pb
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.peer_options import (
    CallingOption,
    CaOption,
    CertificateOption,
    DescriptionOption,
    DestinationOption,
    DimseOption,
    KeyOption,
    NameArgument,
    PasswordOption,
    ProjectOption,
    SyntaxOption,
    TlsOption,
    TokenOption,
    UserOption,
    WebOption,
    ZoneOption,
)
from services.cli.peer_project import set_project
from services.cli.peer_spec import (
    Changes,
    changed_credentials,
    changed_spec,
    dimse_text,
    zone_name,
)
from services.cli.tables import literal
from services.runtime.client import MeshChannel

_KINDS: Final = {"echo": "C-ECHO", "dicomweb": "DICOMweb"}
_console = Console(highlight=False)

peers = typer.Typer(
    name="peers", no_args_is_help=True, help="Systems that we exchange images with."
)


@peers.command(name="list")
def list_peers(data: DataOption, as_json: JsonOption = False) -> None:
    """List the peers and how their last tests went."""
    run(_list(data, as_json=as_json))


@peers.command()
def add(
    name: NameArgument,
    data: DataOption,
    zone: ZoneOption = None,
    dimse: DimseOption = None,
    web: WebOption = None,
    calling: CallingOption = None,
    tls: TlsOption = None,
    tls_ca: CaOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
    transfer_syntax: SyntaxOption = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    token_file: TokenOption = None,
    move_destination: DestinationOption = None,
    deid_project: ProjectOption = None,
    description: DescriptionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a peer. Its trust zone has to be said: `--zone inside` or `--zone outside`.

    Exit codes: 0 registered, 1 refused, 2 wrong usage, 3 nothing runs.
    """
    if zone is None:
        raise typer.BadParameter("inside or outside has to be said", param_hint="--zone")
    changes = Changes(
        zone=zone,
        dimse=dimse,
        web=web,
        calling=calling,
        tls=tls,
        tls_ca=tls_ca,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        transfer_syntaxes=transfer_syntax,
        user=user,
        password_file=password_file,
        token_file=token_file,
        move_destination=move_destination,
        deid_project=deid_project,
        description=description,
    )
    run(_add(data, name, changes, as_json=as_json), tls_ca or tls_certificate or tls_key)


@peers.command()
def edit(
    name: NameArgument,
    data: DataOption,
    new_name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    zone: ZoneOption = None,
    dimse: DimseOption = None,
    web: WebOption = None,
    calling: CallingOption = None,
    tls: TlsOption = None,
    tls_ca: CaOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
    transfer_syntax: SyntaxOption = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    token_file: TokenOption = None,
    forget_credentials: Annotated[
        bool, typer.Option("--forget-credentials", help="Show it nothing any more.")
    ] = False,
    move_destination: DestinationOption = None,
    deid_project: ProjectOption = None,
    description: DescriptionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is registered of a peer; what is not named stays.

    Credentials go together: naming one of them replaces all. Exit codes: 0 changed, 1 refused,
    2 wrong usage, 3 nothing runs, 4 no such peer.
    """
    changes = Changes(
        name=new_name,
        zone=zone,
        dimse=dimse,
        web=web,
        calling=calling,
        tls=tls,
        tls_ca=tls_ca,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        transfer_syntaxes=transfer_syntax,
        user=user,
        password_file=password_file,
        token_file=token_file,
        forget_credentials=forget_credentials,
        move_destination=move_destination,
        deid_project=deid_project,
        description=description,
    )
    run(_edit(data, name, changes, as_json=as_json), tls_ca or tls_certificate or tls_key)


@peers.command()
def remove(
    name: NameArgument,
    data: DataOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a peer and its credentials.

    Exit codes: 0 forgotten, 1 not wanted after all, 3 nothing runs, 4 no such peer.
    """
    if not yes:
        typer.confirm(f"Forget {literal(name)}?", abort=True)
    run(_remove(data, name))


@peers.command(name="test")
def ask(name: NameArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Ask a peer whether it answers, by every protocol that it speaks.

    Exit codes: 0 it does, 1 it does not, 3 nothing runs, 4 no such peer.
    """
    run(_test(data, name, as_json=as_json))


async def get_peer(channel: MeshChannel, name: str) -> pb.Peer:
    """Return a peer by its name."""
    return (await PeersServiceStub(channel).GetPeer(pb.GetPeerRequest(name=name))).peer


async def _list(data: Path | None, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        found = (await PeersServiceStub(channel).ListPeers(pb.ListPeersRequest())).peers
    if as_json:
        print_json([_as_dict(peer) for peer in found])
        return 0
    if not found:
        typer.echo("No peers yet: `heimdallr peers add --help`.")
        return 0
    table = Table("name", "zone", "DIMSE", "DICOMweb", "last tests")
    for peer in found:
        spec = peer.spec
        tests = "\n".join(_told(test) for test in peer.tests) or "none yet"
        table.add_row(
            literal(spec.name),
            zone_name(spec),
            literal(dimse_text(spec)),
            literal(spec.dicomweb.url),
            tests,
        )
    _console.print(table)
    return 0


async def _add(data: Path | None, name: str, changes: Changes, *, as_json: bool) -> int:
    spec = changed_spec(pb.PeerSpec(name=name), changes)
    async with mesh(data) as channel:
        await set_project(channel, spec, changes.deid_project)
        request = pb.CreatePeerRequest(spec=spec, credentials=changed_credentials(changes))
        made = (await PeersServiceStub(channel).CreatePeer(request)).peer
    _print(made, "registered", as_json=as_json)
    return 0


async def _edit(data: Path | None, name: str, changes: Changes, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        peer = await get_peer(channel, name)
        request = pb.UpdatePeerRequest(
            peer_id=peer.peer_id,
            spec=changed_spec(peer.spec, changes),
            credentials=changed_credentials(changes),
        )
        await set_project(channel, request.spec, changes.deid_project)
        made = (await PeersServiceStub(channel).UpdatePeer(request)).peer
    _print(made, "changed", as_json=as_json)
    return 0


async def _remove(data: Path | None, name: str) -> int:
    async with mesh(data) as channel:
        peer = await get_peer(channel, name)
        request = pb.DeletePeerRequest(peer_id=peer.peer_id)
        await PeersServiceStub(channel).DeletePeer(request)
    typer.echo("Forgotten.")
    return 0


async def _test(data: Path | None, name: str, *, as_json: bool) -> int:
    found: dict[str, dimse_pb.EchoPeerResponse | web_pb.TestPeerResponse] = {}
    async with mesh(data) as channel:
        peer = await get_peer(channel, name)
        if peer.spec.HasField("dimse"):
            echo = dimse_pb.EchoPeerRequest(peer_id=peer.peer_id)
            found["echo"] = await DimseServiceStub(channel).EchoPeer(echo)
        if peer.spec.HasField("dicomweb"):
            asked = web_pb.TestPeerRequest(peer_id=peer.peer_id)
            found["dicomweb"] = await DicomWebClientServiceStub(channel).TestPeer(asked)
    if as_json:
        print_json(
            {
                kind: {
                    "succeeded": outcome.succeeded,
                    "text": outcome.text,
                    "duration_ms": outcome.duration_ms,
                }
                for kind, outcome in found.items()
            }
        )
    else:
        for kind, outcome in found.items():
            mark = "[green]ok[/green]" if outcome.succeeded else "[red]failed[/red]"
            text = literal(outcome.text)
            _console.print(f"{_KINDS[kind]}: {mark}, {text}, {outcome.duration_ms} ms")
    return 0 if all(outcome.succeeded for outcome in found.values()) else EXIT_FAILED


def _told(test: pb.PeerTest) -> str:
    mark = "[green]ok[/green]" if test.succeeded else "[red]failed[/red]"
    when = test.time.ToDatetime().strftime("%Y-%m-%d %H:%M UTC")
    return f"{_KINDS.get(test.kind, literal(test.kind))} {mark} {when}"


def _print(peer: pb.Peer, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_dict(peer))
    else:
        _console.print(f"{literal(peer.spec.name)} is {what}, {zone_name(peer.spec)}.")


def _as_dict(peer: pb.Peer) -> dict[str, object]:
    found: dict[str, object] = MessageToDict(
        peer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found
