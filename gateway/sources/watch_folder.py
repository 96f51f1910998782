"""A folder into which others put files. Nothing in it is believed: no name, no link."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.file_door import FileDoor
from gateway.source import Door, Source
from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError, Work
from gateway.upload.outcome import Outcome
from gateway.upload.unpacking import Unpacking
from services.runtime.ids import is_id, new_id

DONE: Final = "done"
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that did not change for a while, held open.

    Attributes:
        name: Path below the watched folder.
        status: What it was when it was opened.
    """

    name: str
    status: os.stat_result


class WatchedFolders:
    """Takes files from folders of this machine.

    Args:
        door: Is told when nothing more comes.
        unpacking: Takes files, and archives of them.
        settings: Which folders may be watched, and bounds.
    """

    def __init__(self, door: FileDoor, unpacking: Unpacking, settings: SourceSettings) -> None:
        self._door = door
        self._unpacking = unpacking
        self._settings = settings

    async def work(self, work: Work) -> None:
        """Take what lies in a folder and did not change for a while.

        Raises:
            SourceError: The folder cannot be used.
        """
        spec = work.spec.watch_folder
        folder = await asyncio.to_thread(self.folder, spec.path)
        association = _association(work.reached)
        scan = _Scan(folder, spec.settle_s, self._settings.max_depth)
        files = scan.files()
        for count in range(self._settings.max_files):
            found = await asyncio.to_thread(next, files, None)
            if found is None:
                break
            work.text = f"{count} files"
            await self._take(work, folder, found, association)
            work.cursor = association.cursor()
            await work.keep_now_and_then()
        else:
            scan.is_left = True
        if association.stored and not scan.is_left:
            await self._leave(association)
            work.cursor = ""

    def folder(self, path: str) -> Path:
        """Return a folder that may be watched. Blocking.

        Raises:
            SourceError: It is none, or may not be.
        """
        folder = Path(path)
        try:
            resolved = folder.resolve(strict=True)
            roots = [root.resolve() for root in self._settings.watch_roots]
        except (OSError, RuntimeError):
            raise SourceError("the folder is not there") from None
        if not any(resolved.is_relative_to(root) for root in roots):
            raise SourceError("the folder is none that this gateway is set to watch")
        if not resolved.is_dir() or not os.access(resolved, os.R_OK | os.W_OK | os.X_OK):
            raise SourceError("the folder may not be read and written by the gateway")
        return resolved

    async def _take(
        self, work: Work, folder: Path, found: Found, association: _Association
    ) -> None:
        file = await asyncio.to_thread(_open, folder, found)
        if file is None:
            return
        outcome = Outcome()
        try:
            # By its number, not its name: what was looked at is what is read.
            path = Path(f"/proc/self/fd/{file}")
            await self._unpacking.run(path, association.source(), outcome, lambda _: None)
            changed = _identity(os.fstat(file)) != _identity(found.status)
        finally:
            os.close(file)
        if changed:
            return
        association.stored += outcome.durable_count
        _add(work, outcome)
        delete = work.spec.watch_folder.delete_stored
        await asyncio.to_thread(_put_away, folder, found.name, outcome, delete=delete)

    async def _leave(self, association: _Association) -> None:
        await self._door.leave(association.source(), released=True, stored_count=association.stored)


@dataclass
class _Association:
    """What a folder brings until it is empty, over any number of turns."""

    association_id: str
    stored: int

    def source(self) -> Source:
        return Source(Door.SOURCE, self.association_id, "", "", "")

    def cursor(self) -> str:
        return json.dumps({"association": self.association_id, "stored": self.stored})


class _Scan:
    """One look through a folder; says in the end whether something is left in it."""

    def __init__(self, folder: Path, settle_s: int, max_depth: int) -> None:
        self._folder = folder
        self._settle_s = settle_s
        self._max_depth = max_depth
        self.is_left = False

    def files(self) -> Iterator[Found]:
        """Yield the files that did not change for a while. Blocking."""
        before = time.time() - self._settle_s
        walk = os.walk(self._folder, followlinks=False)
        for place, folders, names in walk:
            inside = Path(place).relative_to(self._folder)
            folders[:] = [name for name in sorted(folders) if self._is_entered(inside, name)]
            for name in sorted(names):
                if name.startswith("."):
                    continue
                try:
                    status = (Path(place) / name).lstat()
                except OSError:
                    continue
                # The time of change cannot be set from outside; that of modification can.
                if stat.S_ISREG(status.st_mode) and status.st_ctime <= before:
                    yield Found(str(inside / name), status)
                elif stat.S_ISREG(status.st_mode):
                    self.is_left = True

    def _is_entered(self, inside: Path, name: str) -> bool:
        if name.startswith(".") or len(inside.parts) >= self._max_depth:
            return False
        return bool(inside.parts) or name not in (DONE, REFUSED)


def waiting_count(folder: Path, most: int) -> int:
    """Return how many files wait in a folder, at most so many. Blocking."""
    return sum(1 for _ in islice(_Scan(folder, 0, 16).files(), most))


def _association(cursor: str) -> _Association:
    try:
        kept = json.loads(cursor)
        association_id, stored = str(kept["association"]), int(kept["stored"])
    except (ValueError, TypeError, KeyError):
        return _Association(new_id(), 0)
    return _Association(association_id if is_id(association_id) else new_id(), stored)


def _open(folder: Path, found: Found) -> int | None:
    """Open a file through folders that are no links; None where it is another one by now."""
    *above, name = Path(found.name).parts
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in above:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=place)
            os.close(place)
            place = inner
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=place)
    except OSError:
        return None
    finally:
        os.close(place)
    if _identity(os.fstat(file)) != _identity(found.status):
        os.close(file)
        return None
    return file


def _put_away(folder: Path, name: str, outcome: Outcome, *, delete: bool) -> None:
    """Move a file that was taken, or not, under a name of ours.

    Raises:
        SourceError: It cannot be moved; it would be taken again for ever.
    """
    taken = not (outcome.refused_count or outcome.skipped_count or outcome.failure)
    file = folder / name
    try:
        if taken and delete:
            file.unlink()
            return
        target = folder / (DONE if taken else REFUSED)
        target.mkdir(mode=0o770, exist_ok=True)
        our_id = new_id()
        if not taken:
            reason = json.dumps(outcome.to_json())
            (target / f"{our_id}.json").write_text(reason, encoding="utf-8")
        file.rename(target / our_id)
    except OSError:
        raise SourceError("a file that was taken cannot be moved out of the folder") from None


def _add(work: Work, outcome: Outcome) -> None:
    work.counts.stored += outcome.stored + outcome.conflicts + outcome.journaled
    work.counts.known += outcome.duplicates
    work.counts.refused += outcome.refused_count + outcome.skipped_count + bool(outcome.failure)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
