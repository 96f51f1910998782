"""Rules: what they reach, what they delete, and that one coordinator applies them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from heimdallr.retention.v1 import retention_service_pb2 as pb
from services.coordinator.retention.rule_loop import RuleLoop
from services.runtime.audit import CallRecorder
from services.runtime.client import ServiceCallError, typed_errors
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.retention.conftest import Retention
from tests.support.trail import ListTrail

pytestmark = pytest.mark.postgres


def rule(**more: Any) -> pb.Rule:
    values: dict[str, Any] = {
        "name": "old-ct",
        "modalities": ["CT"],
        "age_basis": pb.AGE_BASIS_RECEIVED,
        "age_days": 30,
        "enabled": True,
    }
    return pb.Rule(**(values | more))


def loop(retention: Retention, trail: ListTrail) -> RuleLoop:
    recorder = CallRecorder(trail, "coordinator")
    return RuleLoop(
        retention.store, retention.deletions, recorder, timedelta(hours=1), "coordinator"
    )


async def test_a_rule_deletes_what_is_old_enough_and_nothing_else(retention: Retention) -> None:
    old = await retention.receive(arrival(study("1.2.1")))
    young = await retention.receive(arrival(study("1.2.2")))
    other = await retention.receive(arrival(study("1.2.3"), modality="MR"))
    mixed = await retention.receive(arrival(study("1.2.4")), arrival(study("1.2.4"), modality="MR"))
    busy = await retention.receive(arrival(study("1.2.5")), state="processing")
    held = await retention.receive(arrival(study("1.2.6")))
    for study_id in (old, other, mixed, busy, held):
        await retention.age(study_id, 31)
    await retention.age(young, 29)
    await retention.stub.HoldStudy(pb.HoldStudyRequest(study_id=held, reason="a trial"))
    await retention.stub.SetRule(pb.SetRuleRequest(rule=rule()))
    reach = await retention.stub.PreviewRule(pb.PreviewRuleRequest(rule=rule()))
    trail = ListTrail()

    deleted = await loop(retention, trail).apply()

    assert (reach.study_count, reach.instance_count, reach.held_count) == (1, 1, 1)
    assert deleted == 1
    left = {str(row["study_id"]) for row in await retention.rows("SELECT * FROM archive.study")}
    assert left == {young, other, mixed, busy, held}
    assert [(entry.object_id, entry.subject) for entry in trail.entries] == [(old, "coordinator")]
    assert trail.outcomes[trail.entries[0].entry_id].code == "OK"
    record = (await retention.stub.ListRules(pb.ListRulesRequest())).rules[0]
    assert (record.deleted_count, record.HasField("apply_time")) == (1, True)
    noted = await retention.rows("SELECT * FROM retention.deletion")
    assert [(str(row["study_id"]), row["rule_name"]) for row in noted] == [(old, "old-ct")]


async def test_age_by_study_date_spares_a_study_without_one(retention: Retention) -> None:
    dated = await retention.receive(arrival(study("1.2.1", study_date="20200102")))
    undated = await retention.receive(arrival(study("1.2.2", study_date="")))
    await retention.stub.SetRule(
        pb.SetRuleRequest(rule=rule(age_basis=pb.AGE_BASIS_STUDY_DATE, modalities=[]))
    )

    await loop(retention, ListTrail()).apply()

    left = {str(row["study_id"]) for row in await retention.rows("SELECT * FROM archive.study")}
    assert (dated in left, undated in left) == (False, True)


async def test_a_rule_that_is_not_enabled_deletes_nothing(retention: Retention) -> None:
    await retention.age(await retention.receive(arrival()), 400)
    await retention.stub.SetRule(pb.SetRuleRequest(rule=rule(enabled=False)))

    assert await loop(retention, ListTrail()).apply() == 0


async def test_what_cannot_be_audited_is_not_deleted(retention: Retention) -> None:
    await retention.age(await retention.receive(arrival()), 400)
    await retention.stub.SetRule(pb.SetRuleRequest(rule=rule()))

    with pytest.raises(OSError, match="trail"):
        await loop(retention, ListTrail(broken=True)).apply()

    assert len(await retention.rows("SELECT FROM archive.study")) == 1


async def test_one_coordinator_has_the_turn(retention: Retention) -> None:
    first = await retention.store.take_turn(timedelta(hours=1))
    second = await retention.store.take_turn(timedelta(hours=1))

    assert (first, second) == (True, False)


async def test_a_rule_is_replaced_and_forgotten(retention: Retention) -> None:
    await retention.stub.SetRule(pb.SetRuleRequest(rule=rule()))
    await retention.stub.SetRule(pb.SetRuleRequest(rule=rule(age_days=90)))
    listed = (await retention.stub.ListRules(pb.ListRulesRequest())).rules
    await retention.stub.DeleteRule(pb.DeleteRuleRequest(name="old-ct"))
    await retention.stub.DeleteRule(pb.DeleteRuleRequest(name="\0 no name"))

    assert [record.rule for record in listed] == [rule(age_days=90)]
    assert (await retention.stub.ListRules(pb.ListRulesRequest())).rules == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Old CT"}, "rule.name"),
        ({"age_days": 0}, "rule.age_days"),
        ({"modalities": ["ct; DROP"]}, "rule.modalities"),
        ({"age_basis": pb.AGE_BASIS_UNSPECIFIED}, "rule.age_basis"),
    ],
)
async def test_a_rule_that_breaks_the_contract_is_refused(
    retention: Retention, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await retention.stub.SetRule(pb.SetRuleRequest(rule=rule(**change)))

    assert (caught.value.reason, caught.value.metadata["field"]) == (
        "ERROR_REASON_INVALID_FIELD",
        field,
    )
