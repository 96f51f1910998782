"""Rows of the package's tables as domain objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from services.coordinator.deidentification.objects import (
    Deidentification,
    DeidentifiedObject,
    ObjectState,
    ReleasedObject,
)
from services.coordinator.deidentification.project import Project
from services.runtime.blob_ref import BlobRef

DICOM: Final = "application/dicom"


def project_from_row(row: asyncpg.Record) -> Project:
    """Return a row of a project."""
    return Project(**dict(row.items()))


def series_from_row(
    row: asyncpg.Record, certificates: Sequence[asyncpg.Record] = ()
) -> Deidentification:
    """Return a row of a series with those of the certificates that are its own."""
    mine = [
        BlobRef(one["sha256"], one["size_bytes"], one["media_type"])
        for one in certificates
        if one["deidentification_id"] == row["deidentification_id"]
    ]
    return Deidentification(**dict(row.items()), certificates=tuple(mine))


def object_from_row(row: asyncpg.Record) -> DeidentifiedObject:
    """Return a row of an object."""
    fields = dict(row.items())
    sha256, size_bytes = fields.pop("released_sha256"), fields.pop("released_bytes")
    fields["released"] = None if sha256 is None else BlobRef(sha256, size_bytes, DICOM)
    fields["state"] = ObjectState(row["state"])
    fields["codes"] = tuple(row["codes"])
    return DeidentifiedObject(**fields)


def released_from_row(row: asyncpg.Record) -> ReleasedObject:
    """Return a row of an object that may go outside."""
    fields = dict(row.items())
    sha256, size_bytes = fields.pop("released_sha256"), fields.pop("released_bytes")
    return ReleasedObject(released=BlobRef(sha256, size_bytes, DICOM), **fields)
