"""The report as PDF/A-2a and PDF/UA-1, laid out by Typst from a template of ours."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import typst
from PIL import Image

from services.reporting.errors import ReportFailedError
from services.reporting.layout import layout
from services.reporting.printable import coverage, printable
from services.reporting.report import Report

MEDIA_TYPE: Final = "application/pdf"
STANDARDS: Final[Sequence[Literal["a-2a", "ua-1"]]] = ("a-2a", "ua-1")
MAX_PICTURE_PIXELS: Final = 64_000_000
_ROOM: Final = Path(__file__).resolve().parent
_FONTS: Final = _ROOM / "fonts"


def render_pdf(report: Report, picture: bytes | None, font_folder: Path | None = None) -> bytes:
    """Lay the report out; the same report gives the same bytes.

    Text reaches Typst as data alone, so that markup in it is printed and not run.

    Args:
        report: The facts.
        picture: The key image as PNG, if there is one.
        font_folder: Further fonts, for scripts that the bundled ones lack.

    Raises:
        ReportFailedError: The picture cannot be read, or Typst refuses.
    """
    return _compile(report, picture, font_folder, "pdf")[0]


def render_pages(
    report: Report, picture: bytes | None, font_folder: Path | None = None
) -> list[bytes]:
    """Draw the pages as PNG, to look at the layout."""
    return _compile(report, picture, font_folder, "png")


def _compile(
    report: Report, picture: bytes | None, font_folder: Path | None, form: Literal["pdf", "png"]
) -> list[bytes]:
    folders = (_FONTS,) if font_folder is None else (_FONTS, font_folder)
    drawable = coverage(folders)
    made = datetime.fromisoformat(report.report_time)
    content = layout(report, lambda text: printable(text, drawable))
    content["date"] = {
        name: getattr(made, name) for name in ("year", "month", "day", "hour", "minute", "second")
    }
    cleaned = _cleaned(picture) if picture is not None else None
    content["picture"] = content["picture"] if cleaned is not None else None
    content["picture_wide"] = cleaned is not None and _wide(cleaned)
    with tempfile.TemporaryDirectory(prefix="heimdallr-report-") as name:
        return _typeset(Path(name), content, cleaned, made, folders, form)


def _typeset(
    folder: Path,
    content: dict[str, Any],
    picture: bytes | None,
    made: datetime,
    fonts: tuple[Path, ...],
    form: Literal["pdf", "png"],
) -> list[bytes]:
    shutil.copyfile(_ROOM / "report.typ", folder / "report.typ")
    (folder / "report.json").write_text(json.dumps(content), encoding="utf-8")
    if picture is not None:
        (folder / "key.png").write_bytes(picture)
    compiler = typst.Compiler(folder / "report.typ", root=folder, font_paths=_fonts(fonts))
    standards: Any = [*STANDARDS] if form == "pdf" else []
    try:
        made_pages = compiler.compile(format=form, pdf_standards=standards, timestamp=made)
    except typst.TypstError:
        # Its text quotes what it was given.
        raise ReportFailedError("RENDERING") from None
    if made_pages is None:
        raise ReportFailedError("RENDERING")
    return made_pages if isinstance(made_pages, list) else [made_pages]


@lru_cache(maxsize=4)
def _fonts(folders: tuple[Path, ...]) -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=list(folders)
    )


def _cleaned(picture: bytes) -> bytes:
    """Return a PNG with its pixels and nothing else."""
    try:
        with Image.open(io.BytesIO(picture), formats=("PNG",)) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise ReportFailedError("PICTURE_TOO_LARGE")
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, format="PNG")
    except (OSError, SyntaxError, ValueError):
        raise ReportFailedError("PICTURE") from None
    return buffer.getvalue()


def _wide(picture: bytes) -> bool:
    """Whether the width of a picture limits its size on paper, and not its height."""
    with Image.open(io.BytesIO(picture)) as image:
        return image.width * 78 > image.height * 88
