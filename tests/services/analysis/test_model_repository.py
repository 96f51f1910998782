"""Cards of the models, and the hash that stands for the weights of one without."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.analysis.model_repository import ct_tissue_card, source_sha256
from services.analysis.structures import HIGHEST_LABEL

REPOSITORY = Path(__file__).parents[3] / "triton_models"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "1" / "part").mkdir(parents=True)
    (tmp_path / "config.pbtxt").write_text("name")
    (tmp_path / "1" / "model.py").write_text("a = 1")
    (tmp_path / "1" / "part" / "b.py").write_text("b = 2")
    return tmp_path


def test_the_card_names_every_label() -> None:
    card = ct_tissue_card(REPOSITORY)

    assert len(card.labels) == HIGHEST_LABEL
    assert len(card.weights_sha256) == 64


@pytest.mark.parametrize("changed", ["config.pbtxt", "1/model.py", "1/part/b.py"])
def test_any_changed_source_changes_the_hash(model: Path, changed: str) -> None:
    before = source_sha256(model, "1")
    (model / changed).write_text("other")

    assert source_sha256(model, "1") != before


def test_compiled_files_do_not_count(model: Path) -> None:
    before = source_sha256(model, "1")
    (model / "1" / "__pycache__").mkdir()
    (model / "1" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"x")

    assert source_sha256(model, "1") == before


def test_an_absent_version_has_no_hash(model: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source_sha256(model, "2")
