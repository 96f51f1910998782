"""What is done with a study and why, without transport or database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.coordinator.workflow.stages import StageKind, analysis_name

AUTOMATIC_MODELS: Final[Mapping[str, str]] = {"ct_tissue": "CT"}
"""Models that run without being asked for, and the modality they run on."""


@dataclass(frozen=True, slots=True)
class RankedSeries:
    """A series as the selection judged it."""

    series_id: str
    modality: str
    selected: bool


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A registered model."""

    name: str
    version: str
    modalities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Whether a model is run, and why in a sentence a radiographer understands."""

    model: str
    version: str
    chosen: bool
    text: str


@dataclass(frozen=True, slots=True)
class RequestedAnalysis:
    """A model that a person asked to run on a series."""

    series_id: str
    model: str
    version: str


StageKey = tuple[str, str | None]
"""Name and series of a stage."""


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage that is to be made."""

    name: str
    series_id: str | None
    version: str = ""
    depends_on: tuple[StageKey, ...] = ()

    @property
    def key(self) -> StageKey:
        """Name and series."""
        return self.name, self.series_id


def choose_models(
    series: Sequence[RankedSeries], cards: Sequence[ModelCard] | None
) -> tuple[ModelChoice, ...]:
    """Return every model that was considered, by name, and whether it is run.

    Args:
        series: Every series of the study.
        cards: The registered models; None when they cannot be listed now.
    """
    known = {card.name: card for card in cards or ()}
    choices = [
        _automatic(name, modality, known.get(name), series, listed=cards is not None)
        for name, modality in AUTOMATIC_MODELS.items()
    ]
    choices += [
        ModelChoice(card.name, card.version, chosen=False, text="Runs only when a person asks.")
        for card in known.values()
        if card.name not in AUTOMATIC_MODELS
    ]
    return tuple(sorted(choices, key=lambda choice: choice.model))


def _automatic(
    name: str,
    modality: str,
    card: ModelCard | None,
    series: Sequence[RankedSeries],
    *,
    listed: bool,
) -> ModelChoice:
    if listed and card is None:
        return ModelChoice(name, "", chosen=False, text="The model is not installed.")
    version = card.version if card is not None else ""
    count = len(_suited(series, modality))
    if count:
        text = f"Run on {count} selected {modality} series: the model is made for {modality}."
        return ModelChoice(name, version, chosen=True, text=text)
    if any(one.modality == modality for one in series):
        text = f"No {modality} series was selected for analysis."
    else:
        text = f"The study has no {modality} series."
    return ModelChoice(name, version, chosen=False, text=text)


def _suited(series: Sequence[RankedSeries], modality: str) -> list[RankedSeries]:
    return [one for one in series if one.selected and one.modality == modality]


def plan_stages(
    series: Sequence[RankedSeries],
    choices: Sequence[ModelChoice],
    requests: Iterable[RequestedAnalysis] = (),
) -> tuple[StageSpec, ...]:
    """Return the stages of a study after its plan, in order of work.

    Every series is described; selected ones and those a person asked for are converted; chosen and
    requested models analyse what was converted; the report depends on all of it.
    """
    analyses = _analyses(series, choices)
    known = {one.series_id for one in series}
    for request in requests:
        if request.series_id in known:
            analyses[request.series_id, request.model] = request.version
    convert = {one.series_id for one in series if one.selected} | {key[0] for key in analyses}
    specs = [StageSpec(StageKind.DESCRIBE, one.series_id) for one in series]
    specs += [StageSpec(StageKind.CONVERT, o.series_id) for o in series if o.series_id in convert]
    specs += [analysis_spec(*key, version) for key, version in sorted(analyses.items())]
    specs.append(StageSpec(StageKind.REPORT, None, "", tuple(spec.key for spec in specs)))
    return tuple(specs)


def analysis_spec(series_id: str, model: str, version: str) -> StageSpec:
    """Return the stage that runs a model on a converted series."""
    return StageSpec(analysis_name(model), series_id, version, ((StageKind.CONVERT, series_id),))


def _analyses(
    series: Sequence[RankedSeries], choices: Sequence[ModelChoice]
) -> dict[tuple[str, str], str]:
    return {
        (one.series_id, choice.model): choice.version
        for choice in choices
        if choice.chosen and choice.model in AUTOMATIC_MODELS
        for one in _suited(series, AUTOMATIC_MODELS[choice.model])
    }
