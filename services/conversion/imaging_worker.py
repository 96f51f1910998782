"""The program that works on pixels, in a process with limits that may die of a hostile file.

It takes one task a line on stdin, as JSON, and answers on stdout with any number of parts, each a
line ``{"bytes": n}`` and n bytes, and then with a line ``{"done": true}`` or ``{"rule": "..."}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from services.conversion.drawing import Viewport, Window
from services.conversion.headers import keep_pydicom_quiet
from services.conversion.imaging import ImageError, decode, render, transcode

CANNOT_DECODE: Final = "the pixels cannot be decoded"

Part = tuple[bytes, dict[str, Any]]


def work(task: dict[str, Any]) -> Iterator[Part]:
    """Do one task and yield its parts.

    Raises:
        ImageError: It cannot be done, for a reason that lies in the image.
    """
    path = Path(task["path"])
    if task["task"] == "render":
        window = Window(**task["window"]) if task["window"] else None
        viewport = Viewport(**task["viewport"]) if task["viewport"] else None
        picture = render(path, task["frame"], task["kind"], task["quality"], window, viewport)
        yield picture, {}
    elif task["task"] == "decode":
        for pixels, photometric in decode(path, task["frames"]):
            yield pixels, {"photometric": photometric}
    else:
        transcode(path, task["syntax"], Path(task["target"]))


def answer(line: bytes, out: BinaryIO) -> None:
    """Do the task of one line and write what it gives."""
    try:
        for content, said in work(json.loads(line)):
            _say(out, {"bytes": len(content), **said})
            out.write(content)
        end: dict[str, Any] = {"done": True}
    except ImageError as error:
        end = {"rule": str(error)}
    # Decoders and odd headers fail in any way they like; each means: cannot be shown.
    except Exception:
        end = {"rule": CANNOT_DECODE}
    _say(out, end)
    out.flush()


def _say(out: BinaryIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message).encode("ascii") + b"\n")


def main() -> None:
    """Work until stdin ends."""
    keep_pydicom_quiet()
    out = sys.stdout.buffer
    # A library that prints must not break into the answers.
    sys.stdout = sys.stderr
    for line in sys.stdin.buffer:
        answer(line, out)


if __name__ == "__main__":
    main()
