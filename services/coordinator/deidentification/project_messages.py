"""Projects, profiles and rules as messages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from heimdallr.deid.v1 import profile_pb2 as profile_pb
from heimdallr.deid.v1 import project_service_pb2 as pb
from services.coordinator.deidentification.project import (
    MAX_DESCRIPTION,
    MAX_REASON,
    MAX_RULES,
    NAME,
    Project,
    ProjectSpec,
    ProjectSummary,
)
from services.runtime.errors import InvalidFieldError

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)


def spec_from_proto(message: pb.Project) -> ProjectSpec:
    """Return what a person says of a project.

    Raises:
        InvalidFieldError: It breaks a rule written on one of its fields.
    """
    if not NAME.fullmatch(message.name):
        raise InvalidFieldError("project.name", "1 to 64 of a-z, 0-9 and -")
    description = checked_text("project.description", message.description, MAX_DESCRIPTION)
    profile = checked_profile(message.profile)
    return ProjectSpec(
        message.name, description, *stored_profile(profile), two_persons=message.two_persons
    )


def project_to_proto(project: Project) -> pb.Project:
    """Return a project as it goes on the wire."""
    message = pb.Project(
        project_id=project.project_id,
        name=project.name,
        description=project.description,
        profile=profile_of(project),
        two_persons=project.two_persons,
    )
    message.create_time.FromDatetime(project.create_time)
    return message


def summary_to_proto(summary: ProjectSummary) -> pb.ProjectSummary:
    """Return how far a project's work has come."""
    return pb.ProjectSummary(
        patient_count=summary.patient_count,
        study_count=summary.study_count,
        released_count=summary.released_count,
        held_count=summary.held_count,
        approved_count=summary.approved_count,
        rejected_count=summary.rejected_count,
        held_by_code=[
            pb.CodeCount(code=code, count=count) for code, count in summary.held_by_code.items()
        ],
    )


def profile_of(project: Project) -> profile_pb.Profile:
    """Return a project's profile with its rules."""
    return profile_pb.Profile.FromString(project.profile)


def checked_profile(profile: profile_pb.Profile) -> profile_pb.Profile:
    """Return a profile in the one form that it is stored in.

    Raises:
        InvalidFieldError: A preset, option or rule is unknown or unspecified.
    """
    if profile.preset not in profile_pb.ProfilePreset.values():
        raise InvalidFieldError("profile.preset", "a known preset")
    if len(profile.rules) > MAX_RULES:
        raise InvalidFieldError("profile.rules", f"at most {MAX_RULES}")
    if _keeps_dates_twice(profile):
        raise InvalidFieldError("profile", "dates are kept in full or modified, not both")
    return profile_pb.Profile(
        preset=profile.preset or profile_pb.PROFILE_PRESET_BASIC,
        added_options=sorted(_checked_options(profile.added_options, "added_options")),
        left_out_options=sorted(_checked_options(profile.left_out_options, "left_out_options")),
        rules=[checked_rule(rule, "profile.rules") for rule in profile.rules],
    )


def _keeps_dates_twice(profile: profile_pb.Profile) -> bool:
    modified = profile_pb.PROFILE_OPTION_RETAIN_MODIFIED_DATES
    options = set(profile.added_options)
    if profile.preset == profile_pb.PROFILE_PRESET_RESEARCH:
        options.add(modified)
    options -= set(profile.left_out_options)
    return options >= {modified, profile_pb.PROFILE_OPTION_RETAIN_FULL_DATES}


def _checked_options(
    options: Iterable[profile_pb.ProfileOption.ValueType], field: str
) -> set[profile_pb.ProfileOption.ValueType]:
    found = set(options)
    if found - set(profile_pb.ProfileOption.values()) or 0 in found:
        raise InvalidFieldError(f"profile.{field}", "known options")
    return found


def checked_rule(rule: profile_pb.Rule, field: str = "rule") -> profile_pb.Rule:
    """Return a rule in the one form that it is stored in.

    Raises:
        InvalidFieldError: It breaks a rule written on one of its fields.
    """
    if not _TAG.fullmatch(rule.tag):
        raise InvalidFieldError(f"{field}.tag", "eight hexadecimal digits")
    if not rule.action or rule.action not in profile_pb.RuleAction.values():
        raise InvalidFieldError(f"{field}.action", "a known action")
    reason = checked_text(f"{field}.reason", rule.reason, MAX_REASON)
    return profile_pb.Rule(tag=rule.tag.upper(), action=rule.action, reason=reason)


def with_rule(project: Project, rule: profile_pb.Rule) -> tuple[bytes, str]:
    """Return a project's profile with one more rule, as it is stored, and its key.

    Raises:
        InvalidFieldError: The project has as many rules as it may.
    """
    profile = profile_of(project)
    if len(profile.rules) >= MAX_RULES:
        raise InvalidFieldError("rule", f"a project has at most {MAX_RULES} rules")
    profile.rules.append(rule)
    return stored_profile(profile)


def stored_profile(profile: profile_pb.Profile) -> tuple[bytes, str]:
    """Return a profile as it is stored, and the key that changes with what it does."""
    told = profile_pb.Profile()
    told.CopyFrom(profile)
    for rule in told.rules:
        rule.ClearField("reason")
    key = hashlib.sha256(told.SerializeToString(deterministic=True)).hexdigest()
    return profile.SerializeToString(deterministic=True), key


def checked_text(field: str, text: str, longest: int, shortest: int = 0) -> str:
    """Return a text of people without blanks around it.

    Raises:
        InvalidFieldError: It is too short or too long, or has a NUL.
    """
    stripped = text.strip()
    if not shortest <= len(stripped) <= longest or "\0" in stripped:
        raise InvalidFieldError(field, f"{shortest} to {longest} characters")
    return stripped
