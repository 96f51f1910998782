"""Between the contract's messages and the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import profile_pb2
from heimdallr.deid.v1.profile_pb2 import ProfileOption, ProfilePreset
from services.deid.links import SealedLink
from services.deid.pixels.text import Box
from services.deid.profile.options import (
    PRESETS,
    ContradictingOptionsError,
    Option,
    checked,
)
from services.deid.profile.rules import InvalidRuleError, Rule, RuleAction, rule
from services.deid.sealing import Kind, Sealable
from services.deid.treating import Finding, Outcome
from services.runtime.blob_messages import blob_to_proto
from services.runtime.errors import InvalidFieldError

MAX_RULES: Final = 1000
PRESET_NAMES: Final[Mapping[ProfilePreset.ValueType, str]] = {
    profile_pb2.PROFILE_PRESET_BASIC: "basic",
    profile_pb2.PROFILE_PRESET_RESEARCH: "research",
    profile_pb2.PROFILE_PRESET_EXTERNAL_MODEL: "external-model",
}
_OPTIONS: Final[Mapping[ProfileOption.ValueType, Option]] = {
    ProfileOption.Value(f"PROFILE_OPTION_{one.label.upper()}"): one for one in Option
}
_NUMBERS: Final = {one: number for number, one in _OPTIONS.items()}
_ACTIONS: Final[Mapping[int, RuleAction]] = {
    profile_pb2.RULE_ACTION_REMOVE: RuleAction.REMOVE,
    profile_pb2.RULE_ACTION_EMPTY: RuleAction.EMPTY,
    profile_pb2.RULE_ACTION_CLEAN: RuleAction.CLEAN,
}
_KINDS: Final[Mapping[pb.PseudonymKind.ValueType, Kind]] = {
    pb.PSEUDONYM_KIND_PATIENT: "patient",
    pb.PSEUDONYM_KIND_STUDY: "study",
    pb.PSEUDONYM_KIND_SERIES: "series",
}
_KIND_NUMBERS: Final = {name: number for number, name in _KINDS.items()}


def options_from_proto(profile: profile_pb2.Profile) -> frozenset[Option]:
    """Return the options that a profile comes to.

    Raises:
        InvalidFieldError: A preset or option is unknown, or options contradict each other.
    """
    preset = profile.preset or profile_pb2.PROFILE_PRESET_BASIC
    if preset not in PRESET_NAMES:
        raise InvalidFieldError("profile.preset", "one that is known")
    added = _options("profile.added_options", profile.added_options)
    left_out = _options("profile.left_out_options", profile.left_out_options)
    try:
        return checked((PRESETS[PRESET_NAMES[preset]] | added) - left_out)
    except ContradictingOptionsError as error:
        raise InvalidFieldError("profile.added_options", str(error)) from None


def rules_from_proto(given: Sequence[profile_pb2.Rule]) -> tuple[Rule, ...]:
    """Return a project's rules.

    Raises:
        InvalidFieldError: There are too many, or one cannot be followed.
    """
    if len(given) > MAX_RULES:
        raise InvalidFieldError("profile.rules", f"at most {MAX_RULES}")
    return tuple(_rule(message) for message in given)


def preset_to_proto(preset: ProfilePreset.ValueType) -> pb.PresetOptions:
    """Return what a preset stands for."""
    options = sorted(_NUMBERS[one] for one in PRESETS[PRESET_NAMES[preset]])
    return pb.PresetOptions(preset=preset, options=options)


def kind_from_proto(kind: pb.PseudonymKind.ValueType) -> Kind:
    """Return what a pseudonym stands for.

    Raises:
        InvalidFieldError: It is unspecified or unknown.
    """
    if kind not in _KINDS:
        raise InvalidFieldError("kind", "one that is known")
    return _KINDS[kind]


def identity_to_proto(identity: Sealable) -> pb.Identity:
    """Return who or what a pseudonym stands for."""
    return pb.Identity(
        patient_id_text=identity.patient_id,
        issuer_of_patient_id=identity.issuer,
        patient_name=identity.patient_name,
        patient_birth_date=identity.birth_date,
        original_uid=identity.original_uid,
    )


def outcome_to_proto(outcome: Outcome, instance_id: str) -> pb.InstanceOutcome:
    """Return what became of an object."""
    return pb.InstanceOutcome(
        instance_id=instance_id,
        source_sha256=outcome.entry.source_sha256,
        released=blob_to_proto(outcome.released) if outcome.released is not None else None,
        sop_instance_uid=outcome.sop_instance_uid,
        study_instance_uid=outcome.study_instance_uid,
        series_instance_uid=outcome.series_instance_uid,
        findings=[finding_to_proto(one) for one in outcome.findings],
        boxes=[box_to_proto(one) for one in outcome.boxes],
    )


def link_to_proto(link: SealedLink) -> pb.SealedLink:
    """Return a link of the crosswalk."""
    return pb.SealedLink(
        kind=_KIND_NUMBERS[link.kind],
        pseudonym=link.pseudonym,
        sealed=link.sealed,
        patient_tag=link.patient_tag,
        key_version=link.version,
    )


def comparison_to_proto(found: Mapping[str, Any]) -> pb.CompareInstanceResponse:
    """Return a comparison as a process tells it."""
    return pb.CompareInstanceResponse(
        changes=[pb.AttributeChange(**change) for change in found["changes"]],
        boxes=[profile_pb2.Box(**box) for box in found["boxes"]],
        findings=[profile_pb2.Finding(**finding) for finding in found["findings"]],
        kept_count=found["kept_count"],
    )


def finding_to_proto(finding: Finding) -> profile_pb2.Finding:
    """Return why an object is held."""
    return profile_pb2.Finding(code=finding.code, element=finding.element, rule=finding.rule)


def box_to_proto(box: Box) -> profile_pb2.Box:
    """Return a rectangle of a frame."""
    return profile_pb2.Box(
        frame=box.frame, x=box.x, y=box.y, width=box.width, height=box.height, code=box.code
    )


def _options(field: str, given: Sequence[ProfileOption.ValueType]) -> frozenset[Option]:
    if any(number not in _OPTIONS for number in given):
        raise InvalidFieldError(field, "options that are known")
    return frozenset(_OPTIONS[number] for number in given)


def _rule(message: profile_pb2.Rule) -> Rule:
    if message.action not in _ACTIONS:
        raise InvalidFieldError("profile.rules.action", "one that is known")
    try:
        return rule(message.tag, _ACTIONS[message.action], message.reason)
    except InvalidRuleError as error:
        raise InvalidFieldError("profile.rules.tag", str(error)) from None
