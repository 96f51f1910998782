"""Rules, holds and deletions as messages."""

from __future__ import annotations

from typing import Final

from heimdallr.retention.v1 import retention_service_pb2 as pb
from services.coordinator.retention.deletions import Keeper, Scope
from services.coordinator.retention.rule import (
    AgeBasis,
    Hold,
    Rule,
    RuleError,
    RuleReach,
    RuleRecord,
)
from services.runtime.errors import InvalidFieldError

_BASES: Final = {
    pb.AGE_BASIS_RECEIVED: AgeBasis.RECEIVED,
    pb.AGE_BASIS_STUDY_DATE: AgeBasis.STUDY_DATE,
}
_BASES_BACK: Final = {basis: value for value, basis in _BASES.items()}
_KEEPERS: Final = {
    Keeper.HOLD: pb.KEEPER_HOLD,
    Keeper.RECEIVING: pb.KEEPER_RECEIVING,
    Keeper.WORK: pb.KEEPER_WORK,
}


def rule_from_proto(message: pb.Rule) -> Rule:
    """Return a rule as it came from the wire.

    Raises:
        InvalidFieldError: It breaks a rule written on one of its fields.
    """
    basis = _BASES.get(message.age_basis)
    if basis is None:
        raise InvalidFieldError("rule.age_basis", "unspecified or unknown")
    try:
        return Rule(
            message.name,
            tuple(sorted(set(message.modalities))),
            basis,
            message.age_days,
            message.enabled,
        )
    except RuleError as error:
        raise InvalidFieldError(error.field, error.rule) from None


def rule_to_proto(rule: Rule) -> pb.Rule:
    """Return a rule as it goes on the wire."""
    return pb.Rule(
        name=rule.name,
        modalities=rule.modalities,
        age_basis=_BASES_BACK[rule.age_basis],
        age_days=rule.age_days,
        enabled=rule.enabled,
    )


def record_to_proto(record: RuleRecord) -> pb.RuleRecord:
    """Return a rule with what it did."""
    message = pb.RuleRecord(rule=rule_to_proto(record.rule), deleted_count=record.deleted_count)
    message.update_time.FromDatetime(record.update_time)
    if record.apply_time is not None:
        message.apply_time.FromDatetime(record.apply_time)
    return message


def hold_to_proto(hold: Hold) -> pb.Hold:
    """Return a hold as it goes on the wire."""
    message = pb.Hold(study_id=hold.study_id, reason=hold.reason, subject=hold.subject)
    message.create_time.FromDatetime(hold.create_time)
    return message


def scope_to_proto(scope: Scope) -> pb.DeletionScope:
    """Return what goes with a study."""
    return pb.DeletionScope(
        study_id=scope.study_id,
        series_count=scope.series_count,
        instance_count=scope.instance_count,
        conflict_count=scope.conflict_count,
        result_count=scope.result_count,
        size_bytes=scope.size_bytes,
    )


def keepers_to_proto(keepers: list[Keeper]) -> list[pb.Keeper.ValueType]:
    """Return what keeps a study."""
    return [_KEEPERS[keeper] for keeper in keepers]


def reach_to_proto(reach: RuleReach) -> pb.PreviewRuleResponse:
    """Return what a rule would delete."""
    return pb.PreviewRuleResponse(
        study_count=reach.study_count,
        instance_count=reach.instance_count,
        size_bytes=reach.size_bytes,
        held_count=reach.held_count,
    )
