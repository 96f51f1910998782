"""Scores de-identifiers on a synthetic corpus: ours, one that does nothing, dicom-anonymizer.

The scorer reads input, output and the answers, and nothing of the tools. An object that was not
released passes what had to be removed and fails what had to be kept. ``python -m
scripts.deid_score [--json]``; ``make deid-score``.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from services.deid.batch import Job, deidentify_files
from services.deid.profile.options import options_of
from tests.support.identity_corpus import SAFE, Answer, make_corpus
from tests.support.identity_kinds import make_kinds

_ANONYMIZER: Final = """
import sys
from pathlib import Path
import pydicom
from dicomanonymizer import anonymize_dataset
source, target = map(Path, sys.argv[1:])
for path in source.iterdir():
    try:
        dataset = pydicom.dcmread(path)
        anonymize_dataset(dataset)
        dataset.save_as(target / path.name)
    except Exception as error:  # what it cannot treat is missing
        print(path.name, type(error).__name__, file=sys.stderr)
"""
_ENCODINGS: Final = (
    *("utf-8", "utf-16-le", "utf-16-be", "latin-1", "iso8859-5", "iso8859-7", "gb18030"),
    *("shift_jis", "iso2022_jp", "euc_kr"),
)
_WRITTEN: Final = 128
"""Grey of writing in the corpus, which is white on black."""
Outputs = Mapping[str, Path]
"""Released files by the name of what they were made of."""


class Scorer:
    """Compares what came out with what had to be done."""

    def __init__(self, source: Path, outputs: Outputs) -> None:
        self._before = {path.name: dcmread(path) for path in source.iterdir()}
        self._after = {name: dcmread(path) for name, path in outputs.items()}
        self._bytes = {name: path.read_bytes() for name, path in outputs.items()}
        self._names: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._days: defaultdict[str, set[int]] = defaultdict(set)

    def wrong(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return the answers that were not met."""
        for answer in answers:
            self._note(answer)
        return [answer for answer in answers if not self._is_met(answer)]

    def _is_met(self, answer: Answer) -> bool:
        after = self._after.get(answer.file)
        if after is None:
            return answer.kind in ("text_removed", "pixels_hidden", "uid_changed")
        checks: Mapping[str, Callable[[Answer, Dataset], bool]] = {
            "tag_retained": self._tag_retained,
            "text_notnull": lambda a, d: bool(_value(d, a.place)),
            "text_retained": lambda a, d: a.value in _value(d, a.place),
            "text_removed": self._text_removed,
            "date_shifted": lambda a, _: (
                len(self._days[a.value]) == 1 and 0 not in self._days[a.value]
            ),
            "uid_changed": self._uid_changed,
            "uid_consistent": self._is_consistent,
            "patid_consistent": self._is_consistent,
            "pixels_hidden": self._pixels_hidden,
            "pixels_retained": lambda a, d: d.PixelData == self._before[a.file].PixelData,
        }
        return checks[answer.kind](answer, after)

    def _note(self, answer: Answer) -> None:
        """Remember what became of names and dates, to see whether all of them agree."""
        after = self._after.get(answer.file)
        if after is None:
            return
        before, now = _value(self._before[answer.file], answer.place), _value(after, answer.place)
        if answer.kind in ("uid_consistent", "patid_consistent"):
            self._names[answer.kind, before].add(now)
        elif answer.kind == "date_shifted":
            self._days[answer.value].add(_days_between(before, now))

    def _is_consistent(self, answer: Answer, _after: Dataset) -> bool:
        before = _value(self._before[answer.file], answer.place)
        return len(self._names[answer.kind, before]) == 1

    def _tag_retained(self, answer: Answer, after: Dataset) -> bool:
        if answer.place != "private":
            return _value(after, answer.place) == answer.value
        group, creator, element = SAFE
        try:
            return str(after.private_block(group, creator)[element].value) == answer.value
        except KeyError:
            return False

    def _text_removed(self, answer: Answer, _after: Dataset) -> bool:
        data = self._bytes[answer.file].lower()
        forms = (answer.value.lower(), answer.value.casefold())
        sought = {found for form in forms for found in _encoded(form)}
        return not any(one in data for one in sought)

    def _pixels_hidden(self, answer: Answer, after: Dataset) -> bool:
        x, y, width, height = (int(part) for part in answer.value.split(","))
        box = after.pixel_array[y : y + height, x : x + width]
        return bool((box < _WRITTEN).all())

    def _uid_changed(self, answer: Answer, after: Dataset) -> bool:
        return _value(after, answer.place) != _value(self._before[answer.file], answer.place)


def _encoded(text: str) -> Iterator[bytes]:
    for encoding in _ENCODINGS:
        with contextlib.suppress(UnicodeEncodeError):
            yield text.encode(encoding)


def _value(dataset: Dataset, place: str) -> str:
    *steps, keyword = place.split("/")
    for step in steps:
        sequence, _, number = step.rstrip("]").partition("[")
        items, at = dataset.get(sequence) or (), int(number or 0)
        if at >= len(items):
            return ""
        dataset = items[at]
    found = dataset.get(keyword)
    return "" if found is None else str(found)


def _is_one_shift(days: set[int]) -> bool:
    return len(days) == 1 and 0 not in days


def _days_between(before: str, now: str) -> int:
    try:
        days = [date(int(d[:4]), int(d[4:6]), int(d[6:8])) for d in (before, now)]
    except ValueError:
        return 0
    return (days[1] - days[0]).days


def ours(source: Path, target: Path) -> Outputs:
    """De-identify by our own code."""
    files = sorted(source.iterdir())
    options = options_of("research", ["clean_structured_content", "clean_graphics"])
    job = Job(target, options, b"a key for the score card, 32 bytes")
    outcomes = deidentify_files(files, job, workers=1)
    return {
        one.path.name: target / one.entry.sha256[:2] / f"{one.entry.sha256}.dcm"
        for one in outcomes
        if not one.reason
    }


def nothing(source: Path, target: Path) -> Outputs:
    """Copy."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    return {path.name: path for path in target.iterdir()}


def anonymizer(source: Path, target: Path) -> Outputs:
    """De-identify by dicom-anonymizer, in an environment of its own that uv makes."""
    packages = ["--with", "dicom-anonymizer==2.1.0", "--with", "pydicom==3.0.2"]
    command = ["uv", "run", "--quiet", "--no-project", "--python", "3.11", *packages]
    command += ["python", "-c", _ANONYMIZER, str(source), str(target)]
    subprocess.run(command, check=True)
    return {path.name: path for path in target.iterdir()}


TOOLS: Final[Mapping[str, Callable[[Path, Path], Outputs]]] = {
    "ours": ours,
    "dicom-anonymizer": anonymizer,
    "nothing": nothing,
}


def score(tool: Callable[[Path, Path], Outputs], patients: int = 12) -> dict[str, tuple[int, int]]:
    """Return how many answers a tool met, of how many, by kind.

    Args:
        tool: De-identifies a folder.
        patients: Of whom the corpus is made.
    """
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "in"), Path(name, "out")
        source.mkdir()
        target.mkdir()
        answers = make_corpus(source, patients)
        answers += make_kinds(source, patients)
        wrong = Counter(one.kind for one in Scorer(source, tool(source, target)).wrong(answers))
    asked = Counter(answer.kind for answer in answers)
    return {kind: (asked[kind] - wrong[kind], asked[kind]) for kind in asked}


def main() -> None:
    """Print the score card."""
    cards = {name: score(tool) for name, tool in TOOLS.items()}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(cards, indent=2) + "\n")
        return
    sys.stdout.write("| action | " + " | ".join(cards) + " |\n|---" + "|---" * len(cards) + "|\n")
    for kind in cards["ours"]:
        cells = (f"{card[kind][0]} of {card[kind][1]}" for card in cards.values())
        sys.stdout.write(f"| {kind} | {' | '.join(cells)} |\n")
    totals = (f"{100 * _share(card):.2f} %" for card in cards.values())
    sys.stdout.write(f"| all | {' | '.join(totals)} |\n")


def _share(card: Mapping[str, tuple[int, int]]) -> float:
    return sum(met for met, _ in card.values()) / sum(asked for _, asked in card.values())


if __name__ == "__main__":
    main()
