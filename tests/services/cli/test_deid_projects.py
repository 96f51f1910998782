"""``heimdallr deid`` of a running stack: names, what stays when a project changes, wrong usage."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from heimdallr.deid.v1 import crosswalk_service_pb2, profile_pb2
from heimdallr.deid.v1 import project_service_pb2 as pb
from heimdallr.deid.v1 import review_service_pb2 as review_pb
from services.cli.__main__ import app
from services.cli.deid_crosswalk import state_word
from services.cli.deid_names import OPTIONS, option_name, options_named, state_name
from services.cli.deid_projects import merged
from services.cli.deid_review import object_lines


def test_options_go_by_their_names_with_dashes_or_underscores() -> None:
    named = options_named(["retain-uids", "Retain_Full_Dates"], "--option")

    assert named == [
        profile_pb2.PROFILE_OPTION_RETAIN_UIDS,
        profile_pb2.PROFILE_OPTION_RETAIN_FULL_DATES,
    ]
    assert [option_name(one) for one in named] == ["retain-uids", "retain-full-dates"]
    assert len(OPTIONS) == 12
    with pytest.raises(typer.BadParameter, match="retain-everything"):
        options_named(["retain-everything"], "--option")


def test_a_project_keeps_what_is_not_named_and_its_rules() -> None:
    rule = profile_pb2.Rule(tag="00081030", action=profile_pb2.RULE_ACTION_REMOVE)
    project = pb.Project(project_id="1", name="lungs", description="old", two_persons=True)
    project.profile.preset = profile_pb2.PROFILE_PRESET_RESEARCH
    project.profile.rules.append(rule)
    project.profile.added_options.append(profile_pb2.PROFILE_OPTION_RETAIN_UIDS)
    changed = pb.Project(description="new")

    described = merged(project, changed, (True, False, False), None)
    stricter = merged(project, changed, (False, True, False), two_persons=False)

    assert described.description == "new"
    assert described.two_persons
    assert list(described.profile.rules) == [rule]
    assert described.profile == project.profile
    assert stricter.description == "old"
    assert not stricter.two_persons
    assert list(stricter.profile.added_options) == []


def test_an_object_is_told_with_why_it_is_held_and_who_decided() -> None:
    found = review_pb.DeidentifiedObject(
        instance_id="i-1",
        state=review_pb.OBJECT_STATE_REJECTED,
        instance_number=7,
        decided_by="ben",
        decision_reason="shows a face",
    )
    found.findings.add(code="IDENTIFIER_FOUND", element="00104000", rule="a name")

    assert object_lines(found) == [
        "     7  rejected  i-1",
        "        IDENTIFIER_FOUND at 00104000: a name",
        "        by ben: shows a face",
    ]
    assert state_name(review_pb.OBJECT_STATE_UNSPECIFIED) == "any"
    assert state_word(crosswalk_service_pb2.REIDENTIFICATION_STATE_WAITING) == "waiting"


@pytest.mark.parametrize(
    "arguments",
    [
        ["projects", "create", "lungs", "--preset", "most"],
        ["projects", "create", "lungs", "--option", "retain-everything"],
        ["review", "list", "--state", "lost"],
        ["review", "approve", "s", "i"],
        ["start", "1.2.3"],
        ["reidentify", "ask", "P", "--project", "x", "--reason", "because of it", "--kind", "dog"],
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["deid", *arguments]).exit_code == 2
