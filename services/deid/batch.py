"""De-identifies files in several processes, each file whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.deid.certificate import Entry
from services.deid.deidentify import Deidentifier, Released
from services.deid.errors import DeidRefusedError
from services.deid.profile.options import Option
from services.deid.pseudonyms import Pseudonyms
from services.deid.tally import Tally
from services.dicom.errors import DicomError
from services.dicom.part10 import PREAMBLE_BYTES

RELEASED: Final = "released"
_FILES_A_TASK: Final = 16


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with every file.

    Attributes:
        target: Folder that takes the released files.
        options: Of the profile.
        key: Of the project.
        counts: Whether what is done to elements is counted, which costs time.
    """

    target: Path
    options: frozenset[Option]
    key: bytes
    counts: bool = False


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file.

    Attributes:
        path: The file that came in.
        entry: For the certificate.
        reason: Why it was refused, without values; empty when it was released.
        actions: Number of elements by action code, if they were counted.
        boxes: How many places of its pixels were blanked.
    """

    path: Path
    entry: Entry
    reason: str
    actions: Mapping[str, int] = field(default_factory=dict)
    boxes: int = 0


def files_of(source: Path) -> list[Path]:
    """Return a file, or whatever in a folder says that it is DICOM, broken or not, in order."""
    if not source.is_dir():
        return [source]
    return [path for path in sorted(source.rglob("*")) if path.is_file() and _says_dicom(path)]


def _says_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == b"DICM"


def deidentify_files(files: Sequence[Path], job: Job, workers: int) -> Iterator[FileOutcome]:
    """Yield what became of each file, in their order, as soon as it is known.

    Args:
        files: DICOM files; those of one series should stand together.
        job: What is done with them.
        workers: Processes, at least 1.
    """
    groups = [files[at : at + _FILES_A_TASK] for at in range(0, len(files), _FILES_A_TASK)]
    if workers == 1:
        deidentifier = _deidentifier(job)
        for group in groups:
            yield from (_one(path, deidentifier, job) for path in group)
        return
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(job,)) as pool:
        for outcomes in pool.map(_group, groups):
            yield from outcomes


_kept: list[tuple[Deidentifier, Job]] = []
"""What a process of the pool keeps between its tasks."""


def _begin(job: Job) -> None:
    _kept.append((_deidentifier(job), job))


def _group(files: Sequence[Path]) -> list[FileOutcome]:
    ((deidentifier, job),) = _kept
    return [_one(path, deidentifier, job) for path in files]


def _deidentifier(job: Job) -> Deidentifier:
    return Deidentifier(job.options, Pseudonyms(job.key))


def _one(path: Path, deidentifier: Deidentifier, job: Job) -> FileOutcome:
    data, tally = path.read_bytes(), Tally()
    try:
        released = deidentifier.deidentify(data, observer=tally.note if job.counts else None)
    except DeidRefusedError as error:
        return _refused(path, data, error.code, str(error))
    except DicomError as error:
        return _refused(path, data, "INVALID_DICOM", str(error))
    _write(released, job.target)
    entry = Entry(released.source_sha256, released.sha256, RELEASED, released.sought)
    return FileOutcome(path, entry, "", tally.actions, len(getattr(released, "boxes", ())))


def _refused(path: Path, data: bytes, code: str, reason: str) -> FileOutcome:
    return FileOutcome(path, Entry(hashlib.sha256(data).hexdigest(), "", code, 0), reason)


def _write(released: Released, target: Path) -> None:
    """Write a released object under its hash; it is there whole or not at all."""
    folder = target / released.sha256[:2]
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{released.sha256}.{os.getpid()}"
    with partial.open("wb") as file:
        file.writelines(released.parts)
    partial.rename(folder / f"{released.sha256}.dcm")
