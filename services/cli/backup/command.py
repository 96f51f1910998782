"""``heimdallr backup`` and ``heimdallr restore``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Never

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.backup.copying import OnCopied
from services.cli.backup.make import Source, make_backup, verify_backup
from services.cli.backup.restore import Target, restore_backup
from services.cli.backup.snapshot import BackupError, BackupFolder, Manifest
from services.cli.connection import (
    EXIT_FAILED,
    DataOption,
    JsonOption,
    print_json,
    run,
    running_stack,
)
from services.cli.sizes import size_text
from services.cli.stack import StackError, default_data_folder
from services.runtime.blobs import open_blobs

_VARIABLE: Final = "HEIMDALLR_BACKUP_PASSPHRASE"
FolderArgument = Annotated[Path, typer.Argument(help="Folder of backups, private to you.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(help=f"File with the passphrase that seals the keys; else ${_VARIABLE}."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        envvar="HEIMDALLR_DATABASE_DSN", help="DSN, where the embedded database is not used."
    ),
]
_console = Console(stderr=True, highlight=False)


def backup(
    folder: FolderArgument,
    data: DataOption,
    database: DatabaseOption = None,
    passphrase_file: PassphraseOption = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only read the latest backup again and check it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Back up a running stack: its database at one moment and all bytes that this names.

    A folder takes many backups; bytes that lie there already are not copied again. Keys are left
    out unless a passphrase seals them. Exit codes: 0 done and whole, 1 failed, or bytes are
    damaged or missing, 3 nothing runs.
    """
    target = BackupFolder(folder.expanduser().absolute())
    if verify:
        run(_told(_verify(target, as_json=as_json)), folder)
    run(_told(_backup(target, data, database, _passphrase(passphrase_file), as_json)), folder)


def restore(
    folder: FolderArgument,
    data: Annotated[
        Path | None,
        typer.Option(help="New data folder.", show_default=str(default_data_folder())),
    ] = None,
    snapshot: Annotated[str | None, typer.Option(help="Which; the latest unless named.")] = None,
    database: DatabaseOption = None,
    blobs: Annotated[
        str | None, typer.Option(help="URL of the blob store, where it is not the data folder's.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into an empty data folder; start it with `heimdallr up` afterwards.

    Exit codes: 0 done and whole, 1 failed, or bytes are damaged or missing.
    """
    target = Target(
        (data or default_data_folder()).expanduser().absolute(),
        database,
        blobs,
        _passphrase(passphrase_file),
    )
    source = BackupFolder(folder.expanduser().absolute())
    run(_told(_restore(source, snapshot, target, as_json=as_json)), folder)


async def _backup(
    folder: BackupFolder, data: Path | None, database: str | None, passphrase: str, as_json: bool
) -> int:
    state = running_stack(data)
    dsn = database or state.addresses.database
    if not dsn:
        raise BackupError("the stack uses a database of its own: give --database")
    source = Source(
        dsn, open_blobs(state.addresses.blobs, free_bytes=0), Path(state.data) / "keys", passphrase
    )
    with _progress("Copying", as_json) as bar:
        manifest = await make_backup(folder, source, bar.expect, bar.advance)
    _tell("backup", manifest, manifest.damaged, bar, as_json)
    if manifest.keys is None and not as_json:
        _console.print(
            f"Keys are NOT in it: keep {source.keys} apart, and secret. Without them credentials"
            " of peers cannot be opened after a restore; people sign in anew.",
            style="yellow",
        )
    return EXIT_FAILED if manifest.damaged else 0


async def _verify(folder: BackupFolder, *, as_json: bool) -> int:
    manifest = folder.manifest()
    with _progress("Checking", as_json) as bar:
        bar.expect(manifest)
        damaged = await verify_backup(folder, manifest, bar.advance)
    _tell("verify", manifest, damaged, bar, as_json)
    return EXIT_FAILED if damaged else 0


async def _restore(
    folder: BackupFolder, snapshot: str | None, target: Target, *, as_json: bool
) -> int:
    manifest = folder.manifest(snapshot)
    with _progress("Restoring", as_json) as bar:
        bar.expect(manifest)
        damaged = await restore_backup(folder, manifest, target, bar.advance)
    _tell("restore", manifest, damaged, bar, as_json)
    return EXIT_FAILED if damaged else 0


async def _told(work: Any) -> int:
    try:
        return int(await work)
    except StackError as error:
        _refuse(str(error))


def _refuse(sentence: str) -> Never:
    typer.secho(sentence, err=True, fg="red")
    raise typer.Exit(EXIT_FAILED)


class _Bar:
    """How far it has come, on a terminal."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task
        self.copied_count = self.copied_bytes = 0

    def expect(self, manifest: Manifest) -> None:
        self._progress.update(self._task, total=manifest.blob_bytes)

    @property
    def advance(self) -> OnCopied:
        def advance(ref: Any, copied: bool) -> None:
            self.copied_count += copied
            self.copied_bytes += ref.size_bytes * copied
            self._progress.advance(self._task, ref.size_bytes)

        return advance


@contextmanager
def _progress(word: str, as_json: bool) -> Iterator[_Bar]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=_console, disable=as_json, transient=True
    ) as progress:
        yield _Bar(progress, progress.add_task(word, total=None))


def _tell(what: str, manifest: Manifest, damaged: Any, bar: _Bar, as_json: bool) -> None:
    if as_json:
        values = {**asdict(manifest), "damaged": list(damaged)}
        copied = {"copied_count": bar.copied_count, "copied_bytes": bar.copied_bytes}
        print_json({"event": what, **values, **copied})
        return
    _console.print(
        f"{what.capitalize()} of {manifest.snapshot}: {manifest.study_count} studies,"
        f" {manifest.instance_count} images, {manifest.blob_count} files"
        f" ({size_text(manifest.blob_bytes)}), {bar.copied_count} copied"
        f" ({size_text(bar.copied_bytes)}).",
        style="green" if not damaged else "red",
    )
    for sha256 in damaged:
        _console.print(f"damaged or missing: {sha256}", style="red")


def _passphrase(file: Path | None) -> str:
    if file is None:
        return os.environ.get(_VARIABLE, "")
    return file.read_text().strip()
