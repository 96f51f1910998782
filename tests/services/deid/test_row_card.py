"""Each row of Table E.1-1 under the basic profile and each option, and what a missing row does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from services.deid.deidentify import Deidentifier
from services.deid.identifiers import NUMBERS
from services.deid.profile import table, treatment
from services.deid.profile.options import Option
from services.deid.pseudonyms import Pseudonyms
from tests.services.deid.conftest import KEY, read_back
from tests.support.corpora import corpus
from tests.support.instances import part10
from tests.support.row_card import (
    NESTING,
    TREATED_BY_ITEM,
    PublishedRow,
    not_followed,
    published,
    vr_of,
    with_every_row,
)

pytestmark = pytest.mark.corpora

EVERY: tuple[Option | None, ...] = (None, *Option)


@pytest.fixture(scope="module")
def rows() -> tuple[PublishedRow, ...]:
    return published(corpus("deid-profile"))


@pytest.fixture(scope="module")
def file(rows: tuple[PublishedRow, ...]) -> bytes:
    return part10(with_every_row(rows))


def cleaned(file: bytes, option: Option | None) -> Dataset:
    deidentifier = Deidentifier([option] if option else [], Pseudonyms(KEY))
    return read_back(deidentifier.deidentify(file))


@pytest.mark.parametrize("option", EVERY, ids=lambda one: one.label if one else "basic")
def test_every_row_is_followed_at_the_root_and_nested(
    option: Option | None, file: bytes, rows: tuple[PublishedRow, ...]
) -> None:
    assert len(rows) > 620
    assert list(not_followed(cleaned(file, option), rows, option)) == []


def test_a_row_that_is_missing_fails_the_card_or_its_attribute_is_denied(
    file: bytes,
    rows: tuple[PublishedRow, ...],
    monkeypatch: pytest.MonkeyPatch,
    figure: Callable[[str], None],
) -> None:
    """What is done with an attribute depends on its own row alone: all are taken out at once."""
    # What names no attribute by its tag stays: private ones.
    monkeypatch.setattr(treatment, "row_of", lambda tag: table.row_of(tag) if _odd(tag) else None)
    monkeypatch.setattr("services.deid.deidentify.found_in", lambda *_: 0)
    without = [cleaned(file, option) for option in EVERY]

    failing = {
        tag
        for option, clean in zip(EVERY, without, strict=True)
        for tag, _ in not_followed(clean, rows, option)
    }

    # Without a row, what may hold anything is denied, UIDs are replaced, references and content are
    # treated by item, and numbers of the header are found as such.
    gone = {row.tag for row in rows if all(row.tag not in level for level in _levels(without[0]))}
    gone |= {row.tag for row in rows if vr_of(row.tag) == "UI" or row.basic == "X/Z/U*"}
    gone |= TREATED_BY_ITEM | NUMBERS
    assert failing | gone >= {row.tag for row in rows}
    assert len(failing) > len(rows) / 2
    figure(f"{len(rows) - len(failing)} of {len(rows)} rows ask for what default-deny does anyway")


def _odd(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def _levels(dataset: Dataset) -> tuple[Dataset, Dataset]:
    return dataset, dataset[NESTING].value[0]


def test_a_table_without_any_one_of_its_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(table.__file__).parent
    lines = (folder / "table_e1_1.tsv").read_bytes().splitlines(keepends=True)
    shutil.copy(folder / "table_e1_1.sha256", tmp_path)
    monkeypatch.setattr(table, "files", lambda _: tmp_path)
    (tmp_path / "table_e1_1.tsv").write_bytes(b"".join(lines))
    assert len(list(table.rows())) == len(lines) - 1

    for number in range(1, len(lines)):
        (tmp_path / "table_e1_1.tsv").write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        with pytest.raises(table.TableChangedError):
            next(table.rows())
