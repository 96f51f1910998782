"""A thumbnail of a series, or a sentence that says why there is none."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from services.conversion import rendering
from services.conversion.errors import ToolFailedError
from services.conversion.previews import Picture
from services.conversion.process import Limits, run
from services.conversion.rendering import Outcome
from services.conversion.series import InstanceFacts, Refusal, syntax_name

LIMITS: Final = Limits(seconds=20.0, memory_bytes=4 << 30, file_bytes=16 << 20)
_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = (
    "import runpy, sys; sys.path[:0] = [{root!r}]; "
    "runpy.run_module('services.conversion.rendering', run_name='__main__', alter_sys=True)"
)
_NATIVE: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})


async def thumbnail(source: Path, facts: InstanceFacts, folder: Path) -> Picture | Refusal:
    """Draw the middle frame of an instance.

    Uncompressed pixels are drawn in a thread; compressed ones in a limited process.

    Args:
        source: The DICOM file.
        facts: What the index knows of it.
        folder: Private folder for the picture.
    """
    target = folder / "thumbnail.png"
    frame = max((facts.frames or 1) // 2, 0)
    if facts.transfer_syntax_uid in _NATIVE:
        outcome = await asyncio.to_thread(rendering.render, source, frame, target)
    else:
        outcome = await _render_apart(source, frame, target, folder)
    if outcome is not Outcome.DONE:
        return _refusal(outcome, facts)
    return Picture(target.read_bytes(), "thumbnail", "Small picture from the middle of the series.")


async def _render_apart(source: Path, frame: int, target: Path, folder: Path) -> Outcome:
    start = _START.format(root=str(_ROOT))
    argv = (sys.executable, "-I", "-c", start, str(source), str(frame), str(target))
    try:
        code = await run(
            "rendering", argv, folder=folder, output=folder / "rendering.log", limits=LIMITS
        )
    except ToolFailedError:
        return Outcome.CANNOT_DECODE
    return Outcome(code) if code in set(Outcome) else Outcome.CANNOT_DECODE


def _refusal(outcome: Outcome, facts: InstanceFacts) -> Refusal:
    if outcome is Outcome.NO_PIXELS:
        return Refusal("NO_PIXELS", "The series holds no images to show.")
    if outcome is Outcome.TOO_LARGE:
        return Refusal("IMAGE_TOO_LARGE", "The images are too large for a thumbnail.")
    syntax = syntax_name(facts.transfer_syntax_uid)
    return Refusal("CANNOT_DECODE", f"The pixels cannot be decoded ({syntax}).")
