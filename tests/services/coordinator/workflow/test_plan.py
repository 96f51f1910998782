"""Which stages a study gets and why."""

from __future__ import annotations

from services.coordinator.workflow.plan import (
    ModelCard,
    RankedSeries,
    RequestedAnalysis,
    choose_models,
    plan_stages,
)

CT = RankedSeries("a", "CT", selected=True)
SCOUT = RankedSeries("b", "CT", selected=False)
MR = RankedSeries("c", "MR", selected=True)
CARDS = [ModelCard("ct_tissue", "3", ("CT",)), ModelCard("chest_xray", "1", ("DX",))]


def test_the_tissue_model_runs_on_selected_ct() -> None:
    choices = choose_models([CT, SCOUT, MR], CARDS)

    assert [(one.model, one.version, one.chosen) for one in choices] == [
        ("chest_xray", "1", False),
        ("ct_tissue", "3", True),
    ]


def test_a_model_that_is_not_run_says_why() -> None:
    unselected = {one.model: one.text for one in choose_models([SCOUT], CARDS)}
    without_ct = {one.model: one.text for one in choose_models([MR], CARDS)}
    not_there = {one.model: one.text for one in choose_models([CT], [])}

    assert unselected["ct_tissue"] == "No CT series was selected for analysis."
    assert without_ct["ct_tissue"] == "The study has no CT series."
    assert without_ct["chest_xray"] == "Runs only when a person asks."
    assert not_there["ct_tissue"] == "The model is not installed."


def test_a_model_is_planned_while_the_list_of_models_cannot_be_had() -> None:
    (choice,) = choose_models([CT], None)

    assert choice.chosen
    assert choice.version == ""


def test_every_series_is_described_and_the_report_waits_for_everything() -> None:
    series = [CT, SCOUT, MR]

    specs = plan_stages(series, choose_models(series, CARDS))

    assert [(spec.name, spec.series_id) for spec in specs] == [
        ("describe", "a"),
        ("describe", "b"),
        ("describe", "c"),
        ("convert", "a"),
        ("convert", "c"),
        ("analyze:ct_tissue", "a"),
        ("report", None),
    ]
    assert specs[5].depends_on == (("convert", "a"),)
    assert specs[5].version == "3"
    assert set(specs[6].depends_on) == {spec.key for spec in specs[:6]}


def test_what_a_person_asked_for_is_planned_again() -> None:
    requests = [RequestedAnalysis("b", "other", "9"), RequestedAnalysis("gone", "other", "9")]

    specs = plan_stages([SCOUT], choose_models([SCOUT], CARDS), requests)

    assert [(spec.name, spec.series_id) for spec in specs] == [
        ("describe", "b"),
        ("convert", "b"),
        ("analyze:other", "b"),
        ("report", None),
    ]
