"""The DICOM JSON metadata of a series (PS3.18 Annex F), gzipped, made once and served often."""

from __future__ import annotations

import gzip
import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.conversion.series import InstanceFacts
from services.dicom.bulk_path import bulk_path
from services.dicom.errors import DicomError
from services.dicom.json import JsonObject, header_json
from services.dicom.part10 import MAX_META_BYTES, split_part10
from services.dicom.uids import valid_uid

MEDIA_TYPE: Final = "application/gzip"
_LEVEL: Final = 5


def write_metadata(files: Sequence[Path], facts: Sequence[InstanceFacts], target: Path) -> None:
    """Write a gzipped JSON array with one object an instance, in the order given.

    In place of bulk data stands its path below the DICOMweb service. An instance whose header
    cannot be written whole is there with its identifiers alone. The same files give the same
    bytes.

    Args:
        files: DICOM files.
        facts: What the index knows of each.
        target: File to write.
    """
    with target.open("wb") as raw, gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as out:
        for number, (path, known) in enumerate(zip(files, facts, strict=True)):
            out.write(b"," if number else b"[")
            out.write(_encoded(_object(path, known)))
        out.write(b"]" if files else b"[]")


def _encoded(content: JsonObject) -> bytes:
    # allow_nan would write what is not JSON.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _object(path: Path, known: InstanceFacts) -> JsonObject:
    try:
        return _header(path, known)
    except (DicomError, ValueError):
        return _identifiers(known)


def _header(path: Path, known: InstanceFacts) -> JsonObject:
    with path.open("rb") as file:
        # Unmapped when the last view of it goes: a failed read keeps some in its traceback.
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    meta, start = split_part10(content[:MAX_META_BYTES])
    uids = known.study_instance_uid, known.series_instance_uid, known.sop_instance_uid
    uri = bulk_path(*uids) if all(map(valid_uid, uids)) else None
    return header_json(memoryview(content)[start:], meta.transfer_syntax_uid, bulk_uri=uri)


def _identifiers(known: InstanceFacts) -> JsonObject:
    uids = {
        "00080016": known.sop_class_uid,
        "00080018": known.sop_instance_uid,
        "0020000D": known.study_instance_uid,
        "0020000E": known.series_instance_uid,
    }
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items() if uid}
