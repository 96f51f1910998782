"""dcm2niix: DICOM files in, NIfTI out, judged by what it wrote and not by its exit code."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dcm2niix  # type: ignore[import-untyped]

from services.conversion.errors import ToolFailedError
from services.conversion.process import Limits, run
from services.conversion.series import Refusal

NAME: Final = "dcm2niix"
VERSION: Final = importlib.metadata.version(NAME)
ARGUMENTS: Final = (
    *("-f", "v"),  # never a name from a tag
    *("-z", "n"),  # its compressor is found through a shell
    *("-b", "n"),  # a sidecar would only repeat attributes
    *("-x", "i"),  # neither crop nor turn 3D acquisitions: k stays the slice axis
    *("-d", "0"),
    *("-w", "2"),
)
_MAX_OUTPUT_BYTES: Final = 1 << 20
_DECODE_FAILURE: Final = re.compile(
    rb"failed to decode|decompress|unsupported transfer syntax|unable to decode|"
    rb"compressed (image|transfer)|corrupt",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Written:
    """The volumes that were written.

    Attributes:
        plain: Volumes on the grid of the images.
        straightened: The volume corrected for gantry tilt, if any.
        resampled: Whether slices were interpolated to an even distance.
    """

    plain: tuple[Path, ...]
    straightened: Path | None
    resampled: bool


async def convert(source: Path, folder: Path, limits: Limits) -> Written | Refusal:
    """Convert the DICOM files in one folder.

    Args:
        source: Holds nothing but the files, under names of ours.
        folder: Empty; takes what the tool writes.
        limits: What it may use.

    Raises:
        ToolFailedError: It did not start, ran out of time, or wrote nothing for no known reason.
    """
    target, log = folder / "out", folder / "log"
    await asyncio.to_thread(target.mkdir)
    argv = (dcm2niix.bin, *ARGUMENTS, "-o", str(target), str(source))
    exit_code = await run(NAME, argv, folder=folder, output=log, limits=limits)
    written = await asyncio.to_thread(_written, target)
    if exit_code == 0 and written.plain:
        return written
    return await asyncio.to_thread(_failure, log, exit_code)


def _written(target: Path) -> Written:
    volumes = sorted(target.glob("*.nii"))
    straightened = [path for path in volumes if "_Tilt_" in path.name and "_Eq" not in path.name]
    plain = [path for path in volumes if "_Tilt_" not in path.name and "_Eq" not in path.name]
    return Written(
        plain=tuple(plain),
        straightened=straightened[0] if straightened else None,
        resampled=any("_Eq" in path.name for path in volumes),
    )


def _failure(log: Path, exit_code: int) -> Refusal:
    with log.open("rb") as file:
        text = file.read(_MAX_OUTPUT_BYTES)
    if exit_code >= 0 and _DECODE_FAILURE.search(text):
        return Refusal("CANNOT_DECODE", "The pixels of at least one image cannot be decoded.")
    raise ToolFailedError(NAME, "KILLED" if exit_code < 0 else "NO_VOLUME")
