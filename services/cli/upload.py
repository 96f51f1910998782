"""``heimdallr upload``: files, folders and zip files over HTTP, resumable."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from services.cli.connection import (
    EXIT_FAILED,
    DataOption,
    JsonOption,
    print_json,
    run,
    running_stack,
)
from services.cli.stack.credentials import OPERATOR
from services.cli.stack.layout import Layout
from services.cli.upload_memory import UploadMemory
from services.cli.uploading import Content, Uploader, UploadError
from services.cli.zip_stream import ChangedError, Member, ZipStream
from services.runtime.token_source import FileTokenSource

_SHOWN: Final = 20
_PIECE: Final = 1 << 20
_COUNTS: Final = (
    "stored",
    "duplicates",
    "conflicts",
    "journaled",
    "refused_count",
    "skipped_count",
)

_console = Console(stderr=True, highlight=False)


def upload(
    paths: Annotated[
        list[Path],
        typer.Argument(exists=True, readable=True, help="Files, folders and zip files."),
    ],
    data: DataOption,
    url: Annotated[
        str, typer.Option(help="Another server, e.g. https://heimdallr.example.", metavar="URL")
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="HEIMDALLR_TOKEN", help="Token for it, with archive_write.")
    ] = "",
    ca: Annotated[
        Path | None, typer.Option(exists=True, help="Certificate that the server's descends from.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Upload DICOM files, folders of them, and zip files, over HTTP.

    What broke off goes on where it was when the same command is given again. Files that are not
    DICOM are passed over. Exit codes: 0 all is stored, 1 some is not, 2 wrong usage, 3 nothing
    runs.
    """
    if url and not token:
        raise typer.BadParameter("another server needs --token or HEIMDALLR_TOKEN")
    given = Server(url.rstrip("/"), token, ca) if url else None
    run(_upload(paths, data, given, as_json=as_json))


@dataclass(frozen=True)
class Server:
    """Where is uploaded to."""

    url: str
    token: str
    certificate: Path | None


@dataclass(frozen=True)
class Parcel:
    """What goes up as one.

    Attributes:
        title: What it is, for a person.
        content: Its bytes.
        paths: The files in it, in their order; empty where a zip file holds them.
        key: Tells it from others, so that it can be gone on with.
    """

    title: str
    content: Content
    paths: list[Path]
    key: str


class FileContent:
    """One file as it is."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield it from one byte on."""
        with self._path.open("rb") as file:
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece


async def _upload(
    paths: Sequence[Path],
    data: Path | None,
    given: Server | None,
    *,
    as_json: bool,
) -> int:
    server = given or _own_server(data)
    with _console.status("Looking at the files"):
        parcels = await asyncio.to_thread(lambda: list(_parcels(paths)))
    if not parcels:
        _console.print("No files there.", style="red")
        return EXIT_FAILED
    memory = UploadMemory.of_user()
    async with _session(server) as session:
        uploader = Uploader(session)
        with _progress() as progress:
            outcomes = [
                await _one(uploader, memory, server, parcel, progress) for parcel in parcels
            ]
    _print(parcels, outcomes, as_json=as_json)
    return EXIT_FAILED if any(map(_is_short, outcomes)) else 0


async def _one(
    uploader: Uploader, memory: UploadMemory, server: Server, parcel: Parcel, progress: Progress
) -> dict[str, Any]:
    """Upload one parcel and return what became of it."""
    task = progress.add_task(escape(parcel.title), total=parcel.content.size)
    key = f"{server.url} {parcel.key}"
    try:
        upload_id = memory.get(key)
        if upload_id is None or await uploader.offset(upload_id) is None:
            upload_id = await uploader.begin(parcel.content.size)
            memory.put(key, upload_id)
        await uploader.send(
            upload_id, parcel.content, lambda reached: progress.update(task, completed=reached)
        )
        outcome = await uploader.outcome(upload_id)
    except UploadError as error:
        return {"failure": error.sentence}
    except ChangedError as error:
        memory.forget(key)
        return {"failure": f"{error.path} changed while it was uploaded"}
    memory.forget(key)
    return outcome


@asynccontextmanager
async def _session(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cafile=server.certificate)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
    async with aiohttp.ClientSession(
        server.url,
        headers={"Authorization": f"Bearer {server.token}"},
        timeout=timeout,
        connector=aiohttp.TCPConnector(ssl=context),
    ) as session:
        yield session


def _own_server(data: Path | None) -> Server:
    state = running_stack(data)
    layout = Layout(Path(state.data), Path(state.run))
    own = layout.tls_certificate
    token = FileTokenSource(layout.token(OPERATOR)).token()
    return Server(state.addresses.http, token, own if own.exists() else None)


def _parcels(paths: Sequence[Path]) -> Iterator[Parcel]:
    """Yield what goes up: each zip file by itself, all else together."""
    members: list[Member] = []
    for path in paths:
        if path.is_file() and (len(paths) == 1 or path.suffix.lower() == ".zip"):
            status = path.stat()
            key = f"{path.absolute()} {status.st_size} {status.st_mtime_ns}"
            only = [] if path.suffix.lower() == ".zip" else [path]
            yield Parcel(path.name, FileContent(path, status.st_size), only, key)
        else:
            members.extend(_members(path))
    if members:
        stream = ZipStream(members)
        about = [f"{one.path.absolute()} {one.size}" for one in members]
        title = paths[0].name if len(paths) == 1 else f"{len(members)} files"
        yield Parcel(title, stream, [one.path for one in members], "\n".join(about))


def _members(path: Path) -> Iterator[Member]:
    if path.is_file():
        yield Member(path, path.name, path.stat().st_size)
        return
    for place, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(place) / name
            if file.is_file() and not file.is_symlink():
                yield Member(file, str(file.relative_to(path)), file.stat().st_size)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=_console,
    )


def _is_short(outcome: dict[str, Any]) -> bool:
    return bool(outcome.get("failure")) or bool(outcome.get("refused_count"))


def _print(parcels: Sequence[Parcel], outcomes: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    totals = {name: sum(outcome.get(name, 0) for outcome in outcomes) for name in _COUNTS}
    rows = [row for one in zip(parcels, outcomes, strict=True) for row in _refusals(*one)]
    if as_json:
        uploads = [
            {"title": parcel.title, **outcome}
            for parcel, outcome in zip(parcels, outcomes, strict=True)
        ]
        refused = [{"file": file, "reason": reason} for file, reason in rows]
        print_json({**totals, "refused": refused, "uploads": uploads})
        return
    if rows:
        table = Table("file", "reason", title="Not stored")
        for file, reason in rows[:_SHOWN]:
            table.add_row(escape(file), escape(reason))
        _console.print(table)
        if len(rows) > _SHOWN:
            _console.print(f"and {len(rows) - _SHOWN} more: --json tells all")
    _console.print(_sentence(totals), style="red" if rows else "green")


def _refusals(parcel: Parcel, outcome: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was not stored, by its name on this machine where that is known."""
    if outcome.get("failure"):
        yield parcel.title, str(outcome["failure"])
    for refused in outcome.get("refused", ()):
        place = int(refused["place"])
        known = 0 < place <= len(parcel.paths)
        file = str(parcel.paths[place - 1]) if known else f"{parcel.title}, file {place}"
        yield file, str(refused["reason"])


def _sentence(totals: dict[str, int]) -> str:
    parts = [f"{totals['stored']} stored"]
    words = {
        "duplicates": "were here already",
        "conflicts": "kept aside: another object has their UID",
        "journaled": "wait for the coordinator",
        "refused_count": "refused",
        "skipped_count": "are no DICOM instances",
    }
    parts += [f"{totals[name]} {text}" for name, text in words.items() if totals[name]]
    return ", ".join(parts) + "."
