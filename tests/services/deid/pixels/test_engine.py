"""The engine that is installed, on frames that were drawn for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from scripts.score_pixels import score
from services.deid.pixels.engine import engine_name, installed_reader

LEAST_RECALL = 0.99
MOST_BLANKED = 0.01
FEW = (1, 13)


def test_what_is_drawn_into_a_few_frames_is_gone_and_nothing_else(
    figure: Callable[[str], None],
) -> None:
    card = score(FEW)

    figure(f"texts drawn into pixels that are gone: {card.hidden} of {card.planted}")
    assert card.recall == 1
    assert card.clean_blanked < MOST_BLANKED
    assert card.altered_outside == 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_of_five_hundred_frames_nearly_all_that_is_drawn_is_gone(
    figure: Callable[[str], None],
) -> None:
    card = score(range(500))

    figure(f"texts drawn into pixels that are gone: {card.hidden} of {card.planted}")
    figure(f"clean pixels blanked: {100 * card.clean_blanked:.3f} %")
    figure(f"frames read a second: {2 * card.frames / card.seconds:.2f}")
    assert card.recall >= LEAST_RECALL
    assert card.clean_blanked < MOST_BLANKED
    assert card.altered_outside == 0


def test_without_its_package_there_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: None if name == "rapidocr_onnxruntime" else found(name),
    )
    installed_reader.cache_clear()

    assert (engine_name(), installed_reader()) == ("", None)

    installed_reader.cache_clear()
