"""Which series of a study is chosen, and why."""

from __future__ import annotations

import itertools

import pytest

from services.conversion.selection import Candidate, kernel_softness, select
from services.conversion.series import InstanceFacts

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def facts(**changes: object) -> InstanceFacts:
    values: dict[str, object] = {
        "sop_class_uid": CT_IMAGE,
        "modality": "CT",
        "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "position_mm": (0.0, 0.0, 0.0),
        "orientation": AXIAL,
        "spacing_mm": (0.8, 0.8),
    }
    return InstanceFacts(**(values | changes))  # type: ignore[arg-type]


def candidate(name: str, slices: int = 200, **changes: object) -> Candidate:
    return Candidate(name, slices, facts(**changes))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (candidate("b", kernel="B30f"), candidate("a", kernel="B70f")),
        (candidate("b"), candidate("a", image_type=("DERIVED", "SECONDARY"))),
        (candidate("b"), candidate("a", orientation=CORONAL)),
        (candidate("b", slices=20), candidate("a", slices=400, orientation=CORONAL)),
        (candidate("b", slices=190), candidate("a", slices=40)),
        (candidate("b", slice_thickness_mm=1.0), candidate("a", slice_thickness_mm=8.0)),
        (candidate("b"), candidate("a", contrast="IV")),
        (candidate("b", body_part="CHEST"), candidate("a", body_part="HEAD")),
        (candidate("b"), candidate("a", description="Thorax MIP")),
        (candidate("b", slices=400), candidate("a", slices=300)),
        (candidate("b", slice_thickness_mm=0.6), candidate("a", slice_thickness_mm=1.0)),
        (candidate("a"), candidate("b")),
    ],
)
def test_the_better_series_is_selected_in_any_order(better: Candidate, worse: Candidate) -> None:
    for given in itertools.permutations((better, worse)):
        scores = select(given)

        assert [(s.series_id, s.selected) for s in scores] == [
            (better.series_id, True),
            (worse.series_id, False),
        ]


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("NOT_AN_IMAGE", candidate("a", modality="SR")),
        ("NOT_AN_IMAGE", candidate("a", modality="SEG")),
        ("NOT_AN_IMAGE", candidate("a", modality="PR")),
        ("NOT_AN_IMAGE", candidate("a", sop_class_uid="1.2.840.10008.5.1.4.1.1.104.1")),
        ("UNSUPPORTED_MODALITY", candidate("a", modality="US")),
        ("UNSUPPORTED_MODALITY", candidate("a", modality="SMITH^JOHN")),
        ("SECONDARY_CAPTURE", candidate("a", sop_class_uid="1.2.840.10008.5.1.4.1.1.7")),
        ("SECONDARY_CAPTURE", candidate("a", image_type=("DERIVED", "SECONDARY", "SCREEN SAVE"))),
        ("LOCALIZER", candidate("a", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))),
        ("LOCALIZER", candidate("a", slices=3, description="Topogram 0.6")),
        ("TOO_FEW_SLICES", candidate("a", slices=2)),
        ("NO_GEOMETRY", candidate("a", orientation=())),
    ],
)
def test_a_series_that_cannot_be_a_volume_is_refused(code: str, refused: Candidate) -> None:
    score = select([refused])[0]

    assert score.refusal is not None
    assert score.refusal.code == code
    assert "SMITH" not in score.refusal.text
    assert not score.selected


def test_a_refused_series_stands_last_and_the_best_of_each_modality_is_selected() -> None:
    scores = select(
        [
            candidate("scout", slices=2),
            candidate("ct"),
            candidate("mr-small", slices=20, modality="MR"),
            candidate("mr", modality="MR"),
        ]
    )

    assert [s.series_id for s in scores if s.selected] == ["ct", "mr"]
    assert scores[-1].series_id == "scout"


def test_frames_of_a_multi_frame_object_count_as_slices() -> None:
    enhanced = candidate("a", slices=1, frames=120, position_mm=(), orientation=(), spacing_mm=())

    score = select([enhanced])[0]

    assert score.selected
    assert {"SLICE_COUNT", "MULTI_FRAME"} <= {reason.code for reason in score.reasons}


def test_every_reason_is_a_sentence_and_points_add_up() -> None:
    score = select([candidate("a", kernel="B30f", contrast="X", slice_thickness_mm=2.0)])[0]

    assert score.points == sum(reason.points for reason in score.reasons) == 66
    assert all(reason.text.endswith(".") for reason in score.reasons)


@pytest.mark.parametrize(
    ("kernel", "softness"),
    [
        ("B30f", 1),
        ("Br40d", 1),
        ("B60f", -1),
        ("Bl57", 0),
        ("STANDARD", 1),
        ("BONEPLUS", -1),
        ("LUNG", -1),
        ("B", 1),
        ("YB", -1),
        ("FC08", 1),
        ("FC52", -1),
        ("UNKNOWN", 0),
    ],
)
def test_kernels_are_classed_by_their_makers_names(kernel: str, softness: int) -> None:
    assert kernel_softness(kernel) == softness
