"""``heimdallr sources``: places that studies are fetched from by schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from heimdallr.sources.v1 import source_tests_service_pb2 as tests_pb
from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1.source_tests_service_pb2_grpc import SourceTestsServiceStub
from heimdallr.sources.v1.sources_service_pb2_grpc import SourcesServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run

sources = typer.Typer(
    name="sources",
    no_args_is_help=True,
    help="Where studies are fetched from by schedule: folders, Orthanc servers, other archives.",
)
add = typer.Typer(name="add", no_args_is_help=True, help="Register a source.")
sources.add_typer(add)

_COLORS: Final = {
    "good": "green",
    "failing": "red",
    "overdue": "red",
    "paused": "yellow",
    "new": "blue",
}
NameArgument = Annotated[str, typer.Argument(help="Name of the source.")]
PeerOption = Annotated[str, typer.Option("--peer", help="Name of the registered peer.")]
EveryOption = Annotated[
    int, typer.Option("--every", min=1, max=604_800, help="Look at it every so many seconds.")
]
AtOption = Annotated[
    list[str] | None,
    typer.Option("--at", help="Look at it at this time of each day, HH:MM; may be repeated."),
]
ZoneOption = Annotated[str, typer.Option("--zone", help="IANA time zone of --at; UTC if absent.")]
ModalityOption = Annotated[
    list[str] | None,
    typer.Option("--modality", help="Only studies with this modality; may be repeated."),
]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=3650, help="Of the last days.")]


@sources.command("list")
def list_sources(data: DataOption, as_json: JsonOption = False) -> None:
    """List the sources and how they do."""
    run(_list(data, as_json=as_json))


@add.command("folder")
def add_folder(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(help="Folder of the gateway's machine.")],
    data: DataOption,
    every: EveryOption = 10,
    settle: Annotated[
        int, typer.Option(min=1, max=3600, help="Take files unchanged for so many seconds.")
    ] = 5,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is stored.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch a folder into which others put files."""
    folder = pb.WatchFolder(path=str(path.absolute()), settle_s=settle, delete_stored=delete)
    spec = pb.SourceSpec(name=name, schedule=pb.Schedule(interval_s=every), watch_folder=folder)
    run(_add(data, spec, "", as_json=as_json))


@add.command("orthanc")
def add_orthanc(
    name: NameArgument,
    peer: PeerOption,
    data: DataOption,
    every: EveryOption = 30,
    at: AtOption = None,
    zone: ZoneOption = "",
    rest_path: Annotated[str, typer.Option(help="Path of Orthanc's REST API.")] = "",
    reconcile_every: Annotated[
        int, typer.Option(min=0, max=8760, help="Compare all studies every so many hours.")
    ] = 24,
    as_json: JsonOption = False,
) -> None:
    """Follow an Orthanc: first all its studies, then what changes."""
    orthanc = pb.Orthanc(rest_path=rest_path, reconcile_every_h=reconcile_every)
    spec = pb.SourceSpec(name=name, schedule=_schedule(every, at, zone), orthanc=orthanc)
    run(_add(data, spec, peer, as_json=as_json))


@add.command("qido")
def add_qido(
    name: NameArgument,
    peer: PeerOption,
    data: DataOption,
    every: EveryOption = 300,
    at: AtOption = None,
    zone: ZoneOption = "",
    modality: ModalityOption = None,
    days: DaysOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Search a peer by QIDO-RS and fetch what lacks here by WADO-RS."""
    wanted = pb.Filter(modalities=modality or [], days_back=days)
    spec = pb.SourceSpec(name=name, schedule=_schedule(every, at, zone))
    spec.qido.filter.CopyFrom(wanted)
    run(_add(data, spec, peer, as_json=as_json))


@add.command("dimse")
def add_dimse(
    name: NameArgument,
    peer: PeerOption,
    data: DataOption,
    every: EveryOption = 300,
    at: AtOption = None,
    zone: ZoneOption = "",
    modality: ModalityOption = None,
    days: DaysOption = 2,
    get: Annotated[bool, typer.Option("--get", help="Fetch by C-GET, not C-MOVE.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Query a peer by C-FIND and fetch what lacks here."""
    wanted = pb.Filter(modalities=modality or [], days_back=days)
    spec = pb.SourceSpec(name=name, schedule=_schedule(every, at, zone))
    spec.dimse.filter.CopyFrom(wanted)
    spec.dimse.use_get = get
    run(_add(data, spec, peer, as_json=as_json))


@sources.command("remove")
def remove(name: NameArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Forget a source; what it brought stays."""
    run(_remove(data, name, as_json=as_json))


@sources.command("test")
def try_out(name: NameArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Look at a source without fetching. Exit codes: 0 it can be fetched from, 1 it cannot."""
    run(_test(data, name, as_json=as_json))


@sources.command("run")
def run_now(
    name: NameArgument,
    data: DataOption,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Compare all studies of an Orthanc again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a source now, whatever its schedule says."""
    run(_run(data, name, reconcile=reconcile, as_json=as_json))


@sources.command("pause")
def pause(name: NameArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Stop the schedule of a source."""
    run(_pause(data, name, paused=True, as_json=as_json))


@sources.command("resume")
def resume(name: NameArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Let the schedule of a source go on."""
    run(_pause(data, name, paused=False, as_json=as_json))


def _schedule(every: int, at: Sequence[str] | None, zone: str) -> pb.Schedule:
    if at:
        return pb.Schedule(daily=pb.DailyTimes(times=at, time_zone=zone))
    return pb.Schedule(interval_s=every)


async def _list(data: Path | None, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        found = (await SourcesServiceStub(channel).ListSources(pb.ListSourcesRequest())).sources
    if as_json:
        print_json([_document(source) for source in found])
    elif found:
        Console(highlight=False).print(_table(found))
    else:
        typer.echo(
            "There is no source yet: `heimdallr sources add --help` says which there can be."
        )
    return 0


async def _add(data: Path | None, spec: pb.SourceSpec, peer: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        if peer:
            named = peers_pb.GetPeerRequest(name=peer)
            found = (await PeersServiceStub(channel).GetPeer(named)).peer
            getattr(spec, str(spec.WhichOneof("kind"))).peer_id = found.peer_id
        request = pb.CreateSourceRequest(spec=spec)
        source = (await SourcesServiceStub(channel).CreateSource(request)).source
    _tell(source, f"{spec.name} is registered; it is looked at now.", as_json=as_json)
    return 0


async def _remove(data: Path | None, name: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub: Any = SourcesServiceStub(channel)
        source = await _named(stub, name)
        await stub.DeleteSource(pb.DeleteSourceRequest(source_id=source.source_id))
    _tell(source, f"{name} is forgotten.", as_json=as_json)
    return 0


async def _test(data: Path | None, name: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        source_id = (await _named(SourcesServiceStub(channel), name)).source_id
        request = tests_pb.TestSourceRequest(source_id=source_id)
        answer = await SourceTestsServiceStub(channel).TestSource(request)
    if as_json:
        print_json(
            MessageToDict(
                answer,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        )
    else:
        typer.secho(answer.text, fg="green" if answer.succeeded else "red")
    return 0 if answer.succeeded else EXIT_FAILED


async def _run(data: Path | None, name: str, *, reconcile: bool, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub: Any = SourcesServiceStub(channel)
        source_id = (await _named(stub, name)).source_id
        request = pb.RunSourceRequest(source_id=source_id, reconcile=reconcile)
        source = (await stub.RunSource(request)).source
    _tell(source, f"{name} is looked at now.", as_json=as_json)
    return 0


async def _pause(data: Path | None, name: str, *, paused: bool, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub: Any = SourcesServiceStub(channel)
        source_id = (await _named(stub, name)).source_id
        request = pb.PauseSourceRequest(source_id=source_id, paused=paused)
        source = (await stub.PauseSource(request)).source
    _tell(source, f"{name} is {'paused' if paused else 'scheduled again'}.", as_json=as_json)
    return 0


async def _named(stub: Any, name: str) -> pb.Source:
    source: pb.Source = (await stub.GetSource(pb.GetSourceRequest(name=name))).source
    return source


def _tell(source: pb.Source, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(source))
    else:
        typer.echo(sentence)


def _document(source: pb.Source) -> dict[str, Any]:
    return MessageToDict(source, preserving_proto_field_name=True)


def _table(found: Sequence[pb.Source]) -> Table:
    table = Table(
        "name", "kind", "health", "last success", "next", "new", "here already", "refused"
    )
    for source in found:
        state, health = source.state, _health(source.state)
        table.add_row(
            escape(source.spec.name),
            str(source.spec.WhichOneof("kind")).replace("_", " "),
            f"[{_COLORS[health]}]{'running' if state.running else health}[/]",
            _moment(state.last_success_time) if state.HasField("last_success_time") else "never",
            _moment(state.next_run_time) if state.HasField("next_run_time") else "",
            str(state.total.stored),
            str(state.total.known),
            str(state.total.refused),
        )
        if state.failure:
            table.add_row("", "", escape(state.failure), end_section=True)
    return table


def _health(state: pb.SourceState) -> str:
    return pb.Health.Name(state.health).removeprefix("HEALTH_").lower()


def _moment(time: Timestamp) -> str:
    return f"{time.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M:%S}"
