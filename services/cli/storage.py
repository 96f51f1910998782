"""``heimdallr scrub`` and ``heimdallr collect``: look after what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from heimdallr.storage.v1 import storage_service_pb2 as pb
from heimdallr.storage.v1.storage_service_pb2_grpc import StorageServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.sizes import size_text

_POLL_S: Final = 0.5


def scrub(
    data: DataOption,
    now: Annotated[bool, typer.Option("--now", help="Begin one and wait for its end.")] = False,
    rate_mib: Annotated[
        int, typer.Option(min=0, help="MiB it may read in a second; 0: the rate that is set.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Tell what the latest scrub found: is all that is stored what it was?

    Exit codes: 0 all whole, 1 something is corrupt or missing, 3 nothing runs.
    """
    run(_scrub(data, now=now, rate_bytes=rate_mib << 20, as_json=as_json))


def collect(
    data: DataOption,
    now: Annotated[bool, typer.Option("--now", help="Begin one and wait for its end.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --now: only count what nothing names.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what the latest collection of garbage did; it runs by itself once a day.

    Exit codes: 0 done or told, 1 it was broken off, 3 nothing runs.
    """
    run(_collect(data, now=now, dry_run=dry_run, as_json=as_json))


async def _scrub(data: Path | None, *, now: bool, rate_bytes: int, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub = StorageServiceStub(channel)
        if now:
            await stub.StartScrub(pb.StartScrubRequest(rate_bytes=rate_bytes))
        answer: Any = await _settled(lambda: stub.GetScrub(pb.GetScrubRequest()), "scrub", now)
        damages = (await stub.ListDamage(pb.ListDamageRequest())).damages
    if as_json:
        damaged = [_dict(one) for one in damages]
        print_json({"scrub": _dict(answer.scrub), "damages": damaged})
    elif not answer.HasField("scrub"):
        typer.echo("Nothing was scrubbed yet: `heimdallr scrub --now`.")
    else:
        typer.echo(_scrub_text(answer.scrub))
        for one in damages:
            kind = pb.DamageKind.Name(one.kind).removeprefix("DAMAGE_KIND_").lower()
            typer.echo(f"{kind}: {one.sha256} of study {one.study_id}")
    return EXIT_FAILED if damages else 0


async def _collect(data: Path | None, *, now: bool, dry_run: bool, as_json: bool) -> int:
    async with mesh(data) as channel:
        stub = StorageServiceStub(channel)
        if now:
            await stub.StartCollection(pb.StartCollectionRequest(dry_run=dry_run))
        answer: Any = await _settled(
            lambda: stub.GetCollection(pb.GetCollectionRequest()), "collection", now
        )
    if as_json:
        print_json({"collection": _dict(answer.collection)})
    elif not answer.HasField("collection"):
        typer.echo("Nothing was collected yet.")
    else:
        typer.echo(_collection_text(answer.collection))
    return EXIT_FAILED if answer.collection.failed else 0


async def _settled(ask: Callable[[], Awaitable[Message]], field: str, wait: bool) -> Message:
    answer = await ask()
    while wait and not getattr(answer, field).HasField("end_time"):
        await asyncio.sleep(_POLL_S)
        answer = await ask()
    return answer


def _scrub_text(scrub: pb.Scrub) -> str:
    state = (
        "done" if scrub.HasField("end_time") else f"at {scrub.checked_count} of {scrub.total_count}"
    )
    return (
        f"Scrub {state}: {scrub.checked_count} files, {size_text(scrub.checked_bytes)},"
        f" {scrub.corrupt_count} corrupt, {scrub.missing_count} missing."
    )


def _collection_text(one: pb.Collection) -> str:
    would = "would be " if one.dry_run else ""
    state = "broken off" if one.failed else ("done" if one.HasField("end_time") else "running")
    return (
        f"Collection {state}: {one.examined_count} files looked at; {one.set_aside_count}"
        f" ({size_text(one.set_aside_bytes)}) {would}set aside; {one.deleted_count}"
        f" ({size_text(one.deleted_bytes)}) {would}deleted; {one.restored_count} put back;"
        f" {one.young_count} too young to judge."
    )


def _dict(message: Message) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
