"""Which series of a study is worth analysing, with a reason for each point."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.conversion.orientation import Plane, nearest_plane
from services.conversion.series import MIN_SLICES, InstanceFacts, Refusal, kind_refusal

_MAX_SLICE_POINTS: Final = 20.0
_FEW_SLICES: Final = 6
_SCOUT: Final = re.compile(r"\b(scout|topogram|localizer|localiser|surview|scanogram)\b", re.I)
_PROJECTION: Final = re.compile(
    r"\b(mip|minip|vrt|vr|3d|mpr|reformat\w*|perfusion|curved|fused|adc|trace\w*|subtract\w*)\b",
    re.I,
)
_TRUNK: Final = re.compile(
    r"chest|thora|lung|abdom|pelvi|trunk|torso|\btap\b|\bcap\b|liver|heart|body", re.I
)
_ELSEWHERE: Final = re.compile(
    r"head|brain|skull|neck|knee|hand|foot|ankle|wrist|elbow|shoulder|leg|arm|sinus|dental", re.I
)
_SHARP_WORDS: Final = re.compile(r"^(BONE|BONEPLUS|LUNG|EDGE|DETAIL|ULTRA|YB|YC|YD|D|L)\b", re.I)
_SOFT_WORDS: Final = re.compile(r"^(STANDARD|STND|SOFT|SMOOTH|A|B|C)\b", re.I)
_NUMBERED: Final = re.compile(r"^[A-Z]{1,2}(\d{2,3})", re.I)
_CANON: Final = re.compile(r"^FC(\d{2})", re.I)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One series to choose from; `facts` are those of its instance with the lowest number."""

    series_id: str
    instance_count: int
    facts: InstanceFacts

    @property
    def slice_count(self) -> int:
        """Number of images: instances, or frames where one instance holds several."""
        return self.instance_count * max(self.facts.frames or 1, 1)


@dataclass(frozen=True, slots=True)
class Reason:
    """One line of the score table."""

    code: str
    points: float
    text: str


@dataclass(frozen=True, slots=True)
class Score:
    """What a series is worth; `refusal` says why it cannot be used at all."""

    series_id: str
    selected: bool
    reasons: tuple[Reason, ...]
    refusal: Refusal | None

    @property
    def points(self) -> float:
        """Sum of the points."""
        return sum(reason.points for reason in self.reasons)


def select(candidates: Sequence[Candidate]) -> list[Score]:
    """Rank the series of a study and pick the best of each modality.

    An axial series is preferred to any other; more points win, then more slices, thinner
    slices and the lower series id, so that the same study gives the same answer in any order.

    Returns:
        A score for each candidate: the selected ones first, then by points, refused ones last.
    """
    ranked = sorted(((c, _score(c)) for c in candidates), key=_rank)
    chosen: set[str] = set()
    scores: list[Score] = []
    for candidate, score in ranked:
        if score.refusal is None:
            first = candidate.facts.modality not in chosen
            chosen.add(candidate.facts.modality)
            score = _decided(score, candidate.facts.modality, selected=first)
        scores.append(score)
    return sorted(scores, key=lambda score: not score.selected)


def _rank(pair: tuple[Candidate, Score]) -> tuple[bool, bool, float, int, float, str]:
    candidate, score = pair
    facts = candidate.facts
    return (
        score.refusal is not None,
        nearest_plane(facts.orientation) is not Plane.AXIAL and facts.modality == "CT",
        -score.points,
        -candidate.slice_count,
        facts.slice_thickness_mm or float("inf"),
        candidate.series_id,
    )


def _decided(score: Score, modality: str, *, selected: bool) -> Score:
    if selected:
        line = Reason("SELECTED", 0, f"The best {modality} series of the study.")
    else:
        line = Reason("NOT_SELECTED", 0, f"Another {modality} series of the study suits better.")
    return replace(score, selected=selected, reasons=(*score.reasons, line))


def _score(candidate: Candidate) -> Score:
    refusal = _refusal(candidate)
    reasons = () if refusal else tuple(_reasons(candidate))
    return Score(candidate.series_id, False, reasons, refusal)


def _refusal(candidate: Candidate) -> Refusal | None:
    facts = candidate.facts
    refusal = kind_refusal(facts)
    if refusal is not None:
        return refusal
    if candidate.slice_count < _FEW_SLICES and _SCOUT.search(facts.description):
        return Refusal("LOCALIZER", "The series is named as a localizer (scout) and is short.")
    if not facts.is_mosaic and candidate.slice_count < MIN_SLICES:
        return Refusal(
            "TOO_FEW_SLICES", f"The series has fewer than {MIN_SLICES} slices; no volume."
        )
    if not facts.has_geometry and not facts.is_multiframe:
        return Refusal("NO_GEOMETRY", "The images do not say where in the patient they lie.")
    return None


def _reasons(candidate: Candidate) -> Iterable[Reason]:
    facts = candidate.facts
    yield _slice_count(candidate.slice_count)
    yield from _originality(facts)
    yield from _plane(facts)
    yield from _thickness(facts.slice_thickness_mm)
    yield from _kernel(facts)
    yield from _contrast(facts)
    yield from _body_part(facts)
    if facts.is_multiframe:
        yield Reason("MULTI_FRAME", 0, "All slices are in one multi-frame object.")
    if facts.is_mosaic:
        yield Reason("MOSAIC", -5, "Slices are tiled in mosaic images, as in functional MR.")


def _slice_count(slices: int) -> Reason:
    points = round(min(slices / 10, _MAX_SLICE_POINTS), 1)
    return Reason("SLICE_COUNT", points, f"{slices} slices; more show more of the body.")


def _originality(facts: InstanceFacts) -> Iterable[Reason]:
    if facts.image_type[:1] == ("ORIGINAL",):
        yield Reason("ORIGINAL", 10, "Original images of the scanner.")
    elif facts.image_type[:1] == ("DERIVED",):
        yield Reason("DERIVED", -10, "Derived from other images.")
    if _PROJECTION.search(facts.description):
        yield Reason("REFORMATTED", -15, "Named as a reformatted, projected or computed series.")


def _plane(facts: InstanceFacts) -> Iterable[Reason]:
    plane = nearest_plane(facts.orientation)
    if plane is Plane.AXIAL:
        yield Reason("AXIAL", 20, "Axial slices.")
    elif plane in (Plane.CORONAL, Plane.SAGITTAL):
        yield Reason("NOT_AXIAL", -10, f"{plane.value.capitalize()} slices.")
    elif plane is Plane.OBLIQUE:
        yield Reason("OBLIQUE", -20, "Oblique slices, more than 30 degrees off each plane.")


def _thickness(thickness_mm: float | None) -> Iterable[Reason]:
    if thickness_mm is None or not thickness_mm > 0:
        return
    limits = ((1.5, 10, "Thin slices"), (3.0, 8, "Medium slices"), (5.0, 4, "Thick slices"))
    points, name = next(
        ((p, n) for most, p, n in limits if thickness_mm <= most), (-5, "Very thick slices")
    )
    yield Reason("SLICE_THICKNESS", points, f"{name}, {thickness_mm:g} mm.")


def _kernel(facts: InstanceFacts) -> Iterable[Reason]:
    if facts.modality != "CT" or not facts.kernel:
        return
    softness = kernel_softness(facts.kernel)
    if softness > 0:
        yield Reason("SOFT_KERNEL", 10, "Soft-tissue reconstruction kernel.")
    elif softness < 0:
        yield Reason("SHARP_KERNEL", -10, "Sharp (bone or lung) kernel, which adds noise.")


def kernel_softness(kernel: str) -> int:
    """Class a Convolution Kernel (0018,1210): 1 soft tissue, -1 bone or lung, 0 not known.

    Follows the makers' naming: Siemens B30f, Br40; GE STANDARD, BONE; Philips B, YB;
    Canon FC08, FC52.
    """
    name = kernel.strip()
    if canon := _CANON.match(name):
        return 1 if int(canon[1]) < 30 else -1
    if numbered := _NUMBERED.match(name):
        number = int(numbered[1])
        return 1 if number <= 45 else -1 if number >= 60 else 0
    if _SHARP_WORDS.match(name):
        return -1
    return 1 if _SOFT_WORDS.match(name) else 0


def _contrast(facts: InstanceFacts) -> Iterable[Reason]:
    if facts.contrast:
        yield Reason("CONTRAST", -2, "Contrast agent was given; vessels and organs are brighter.")


def _body_part(facts: InstanceFacts) -> Iterable[Reason]:
    hints = " ".join((facts.body_part, facts.description, facts.protocol))
    if _TRUNK.search(hints):
        yield Reason("TRUNK", 5, "Named as chest, abdomen or pelvis.")
    elif _ELSEWHERE.search(hints):
        yield Reason("NOT_TRUNK", -5, "Named as head, neck or limb.")
