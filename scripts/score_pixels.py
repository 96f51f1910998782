"""Scores the reading of pixels on generated frames: what was drawn and went, what stayed.

The scorer reads what went in, what came out and where ink was drawn. ``python -m
scripts.score_pixels [--frames N] [--workers N] [--engine tesseract] [--json]``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from io import BytesIO, StringIO
from typing import Final

import numpy as np
from PIL import Image
from pydicom import dcmread

from services.deid.deidentify import Deidentifier
from services.deid.errors import DeidRefusedError
from services.deid.pixels.engine import installed_reader
from services.deid.pixels.text import Area, Text
from services.deid.pixels.text import Picture as Grey
from services.deid.profile.options import options_of
from services.deid.pseudonyms import Pseudonyms
from tests.support.instances import part10
from tests.support.picture_corpus import FRAMES, Picture, data_set, picture

HIDDEN: Final = 0.95
"""Share of a text's ink that must be gone."""
_KEY: Final = b"a key of thirty-two bytes at least"
_GROUP: Final = 8


@dataclass
class Card:
    """What was counted.

    Attributes:
        frames: Looked at.
        planted: Texts that were drawn.
        hidden: Those of which the ink is gone, or whose object was not released.
        held: Objects that were not released.
        missed: Size, degrees and contrast of texts that stayed.
        clean_blanked: Share of the pixels of clean frames that was blanked.
        altered_outside: Pixels that changed outside of what was said to be blanked.
        seconds: Of one processor.
    """

    frames: int = 0
    planted: int = 0
    hidden: int = 0
    held: int = 0
    missed: list[tuple[int, int, float]] = field(default_factory=list)
    clean_blanked: float = 0.0
    altered_outside: int = 0
    seconds: float = 0.0

    @property
    def recall(self) -> float:
        """Share of the planted texts that is gone."""
        return self.hidden / max(1, self.planted)


def score(numbers: Iterable[int], engine: str = "") -> Card:
    """Clear frames with and without text, and count.

    Args:
        numbers: Of frames of the corpus, from 0.
        engine: "tesseract", or "" for the one that is used.
    """
    card, began = Card(), _processor_time()
    clean: list[float] = []
    for number in numbers:
        _count(card, picture(number), engine)
        clean.append(float(_cleared(picture(number, clean=True), engine)[0].mean()))
    card.clean_blanked = sum(clean) / max(1, len(clean))
    card.seconds = _processor_time() - began
    return card


def _processor_time() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _count(card: Card, shown: Picture, engine: str) -> None:
    card.frames += 1
    card.planted += len(shown.planted)
    try:
        blanked, altered = _cleared(shown, engine)
    except DeidRefusedError:
        card.held += 1
        card.hidden += len(shown.planted)
        return
    card.altered_outside += int((altered & ~blanked).sum())
    for planted in shown.planted:
        if blanked.ravel()[planted.ink].mean() >= HIDDEN:
            card.hidden += 1
        else:
            card.missed.append((planted.size, planted.turned, planted.contrast))


def _cleared(shown: Picture, engine: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels were blanked, and which are not what they were."""
    released = _deidentifier(engine).deidentify(part10(data_set(shown)))
    after = dcmread(BytesIO(b"".join(released.parts)))
    stored = np.frombuffer(after.PixelData, shown.stored.dtype, shown.stored.size)
    differs = stored.reshape(shown.stored.shape) != shown.stored
    blanked = np.zeros(shown.stored.shape[:2], bool)
    for box in released.boxes:
        blanked[box.y : box.y + box.height, box.x : box.x + box.width] = True
    return blanked, differs.any(axis=-1) if differs.ndim == 3 else differs


@cache
def _deidentifier(engine: str) -> Deidentifier:
    reader = Tesseract if engine else installed_reader
    return Deidentifier(options_of("basic"), Pseudonyms(_KEY), reader=reader)


class Tesseract:
    """Tesseract in the four directions, for comparison."""

    name = "tesseract"

    def read(self, picture: Grey) -> list[Text]:
        """Return the text of a picture."""
        texts = []
        for turns in range(4):
            turned = np.rot90(picture, turns)
            for area, words, sure in _words(np.ascontiguousarray(turned)):
                x, y, width, height = _turned_back(area, turns, turned.shape)
                margin = Area(max(0, x - 3), max(0, y - 3), width + 6, height + 6)
                texts.append(Text(margin, words, sure))
        return texts


def _turned_back(area: Area, turns: int, shape: tuple[int, ...]) -> Area:
    """Return an area of a turned picture as one of the picture before its quarter turns."""
    rows, columns = shape
    for _ in range(turns):
        # What a quarter turn to the left made of it is undone by one to the right.
        area = Area(rows - area.y - area.height, area.x, area.height, area.width)
        rows, columns = columns, rows
    return area


def _words(grey: Grey) -> Iterable[tuple[Area, str, float]]:
    program = shutil.which("tesseract") or "tesseract"
    image = Image.fromarray(grey)
    larger = image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)
    picture = BytesIO()
    larger.save(picture, "PNG")
    answer = subprocess.run(
        [program, "-", "-", "--psm", "11", "tsv"],
        input=picture.getvalue(),
        capture_output=True,
        check=True,
        timeout=120,
    ).stdout.decode()
    for row in csv.DictReader(StringIO(answer), delimiter="\t", quoting=csv.QUOTE_NONE):
        if float(row["conf"]) >= 0 and row["text"].strip():
            edges = (int(row[key]) // 2 for key in ("left", "top", "width", "height"))
            yield Area(*edges), row["text"], float(row["conf"]) / 100


def joined(cards: Iterable[Card]) -> Card:
    """Return several cards as one."""
    whole = Card()
    for card in cards:
        before = whole.frames
        for name in ("frames", "planted", "hidden", "held", "missed", "altered_outside", "seconds"):
            setattr(whole, name, getattr(whole, name) + getattr(card, name))
        if whole.frames:
            shares = whole.clean_blanked * before + card.clean_blanked * card.frames
            whole.clean_blanked = shares / whole.frames
    return whole


def main() -> None:
    """Print the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--engine", choices=("", "tesseract"), default="")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    groups = [range(start, asked.frames, asked.workers) for start in range(asked.workers)]
    with ProcessPoolExecutor(asked.workers) as pool:
        count = len(groups)
        cards = pool.map(score, groups, [asked.engine] * count)
        card = joined(cards)
    if asked.json:
        sys.stdout.write(json.dumps(asdict(card), indent=2) + "\n")
        return
    sys.stdout.write(
        f"{card.hidden} of {card.planted} texts gone ({100 * card.recall:.2f} %), "
        f"{card.held} of {card.frames} frames held, "
        f"{100 * card.clean_blanked:.3f} % of clean pixels blanked, "
        f"{card.altered_outside} other pixels changed, "
        f"{2 * card.frames / card.seconds:.2f} frames/s a core\n"
    )


if __name__ == "__main__":
    main()
