"""Between the contract's messages and what is released."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from heimdallr.deid.v1 import outbound_service_pb2 as pb
from services.deid.outbound.known import Known
from services.deid.outbound.text_release import MAX_CHARS, MAX_FIELDS, Field, is_field_name
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id, new_id

_MOST_KNOWN: Final = 1_000
_LONGEST_KNOWN: Final = 1_024
_OLDEST: Final = 150
_HOST: Final = re.compile(r"[A-Za-z0-9.:\-\[\]_]{1,253}")
_MODEL: Final = re.compile(r"[\x21-\x7E]{0,200}")


def checked_destination(project_id: str, destination: pb.Destination) -> None:
    """Check for whom and where to something is released.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    if not is_id(project_id):
        raise InvalidFieldError("project_id", "a UUID")
    if not _HOST.fullmatch(destination.host):
        raise InvalidFieldError("destination.host", "a host name or an address")
    if not _MODEL.fullmatch(destination.model):
        raise InvalidFieldError("destination.model", "at most 200 printable characters of ASCII")


def release_id_of(given: str) -> str:
    """Return the id that a caller gave a release, or a new one.

    Raises:
        InvalidFieldError: It is none.
    """
    if given and not is_id(given):
        raise InvalidFieldError("release_id", "a UUID")
    return given or new_id()


def fields_from_proto(request: pb.ReleaseTextRequest) -> list[Field]:
    """Return the texts of a request.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    if not 1 <= len(request.fields) <= MAX_FIELDS:
        raise InvalidFieldError("fields", f"1 to {MAX_FIELDS}")
    if not all(is_field_name(field.name) for field in request.fields):
        raise InvalidFieldError("fields.name", 'a-z, 0-9 and "_", at most 64')
    if any(len(field.text) > MAX_CHARS for field in request.fields):
        raise InvalidFieldError("fields.text", f"at most {MAX_CHARS} characters")
    if request.patient_age_years > _OLDEST:
        raise InvalidFieldError("patient_age_years", f"at most {_OLDEST}")
    return [Field(field.name, field.text) for field in request.fields]


def known_from_proto(known: pb.KnownIdentifiers) -> Known:
    """Return what is known of a patient.

    Raises:
        InvalidFieldError: Nothing is, or too much.
    """
    if not (any(known.names) or any(known.numbers)):
        raise InvalidFieldError("known", "at least a name or a number of the patient")
    for name in ("names", "numbers", "uids", "dates"):
        _check("known." + name, getattr(known, name))
    return Known.of(known.names, known.numbers, known.uids, known.dates)


def _check(field: str, values: Iterable[str]) -> None:
    given = list(values)
    if len(given) > _MOST_KNOWN or any(len(value) > _LONGEST_KNOWN for value in given):
        rule = f"at most {_MOST_KNOWN} of at most {_LONGEST_KNOWN} characters"
        raise InvalidFieldError(field, rule)
