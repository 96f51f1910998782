from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.part10_intake import MEDIA_STORAGE_DIRECTORY, Part10Intake, read_head
from gateway.quarantine import Quarantine
from gateway.refusal import RefusalKind, RefusedError
from gateway.staging import Staging
from services.dicom.errors import NotDicomError
from services.dicom.part10 import file_meta
from services.runtime.local_blobs import LocalBlobs
from tests.support.instances import CT, ct_instance, encoded, part10

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    with ThreadPoolExecutor(1) as executor:
        quarantine = Quarantine(tmp_path / "quarantine", max_bytes=1 << 20, max_count=10)
        yield Staging(LocalBlobs(tmp_path / "blobs", free_bytes=0), executor, quarantine)


@pytest.fixture
def intake(staging: Staging) -> Part10Intake:
    return Part10Intake(staging, max_object_bytes=4 << 20)


async def test_the_same_data_set_is_the_same_bytes_whatever_stands_before_it(
    intake: Part10Intake, tmp_path: Path
) -> None:
    data_set = encoded(ct_instance(sop_instance_uid="1.2.3"))
    ours = file_meta(CT, "1.2.3", EXPLICIT)
    theirs = b"MZ" + b"\x90" * 126 + ours[128:]

    first = await intake.stage(pieces(ours + data_set))
    second = await intake.stage(pieces(theirs + data_set))

    assert first.ref == second.ref
    stored = tmp_path / "blobs" / first.ref.sha256[:2] / first.ref.sha256
    assert stored.read_bytes() == ours + data_set
    assert first.attributes.sop_instance_uid == "1.2.3"


async def test_a_large_file_is_whole(intake: Part10Intake) -> None:
    dataset = ct_instance(size=1024)

    staged = await intake.stage(pieces(part10(dataset), 300_000))

    assert staged.attributes.rows == 1024
    assert staged.ref.size_bytes > 2 << 20


@pytest.mark.parametrize(
    ("sop_class_uid", "sop_instance_uid"), [(CT, "9.9.9"), ("1.2.840.10008.5.1.4.1.1.4", "1.2.3")]
)
async def test_a_file_that_names_another_instance_is_refused_and_kept_aside(
    intake: Part10Intake, tmp_path: Path, sop_class_uid: str, sop_instance_uid: str
) -> None:
    data_set = encoded(ct_instance(sop_instance_uid="1.2.3"))

    with pytest.raises(RefusedError) as caught:
        await intake.stage(pieces(file_meta(sop_class_uid, sop_instance_uid, EXPLICIT) + data_set))

    assert caught.value.kind is RefusalKind.MISMATCH
    (kept,) = (tmp_path / "quarantine").glob("*.dcm")
    assert kept.read_bytes().endswith(data_set)


async def test_by_policy_the_data_set_says_which_instance_it_is(
    staging: Staging, tmp_path: Path
) -> None:
    intake = Part10Intake(staging, max_object_bytes=4 << 20, take_mismatched=True)
    data_set = encoded(ct_instance(sop_instance_uid="1.2.3"))

    staged = await intake.stage(pieces(file_meta(CT, "9.9.9", EXPLICIT) + data_set))

    assert staged.attributes.sop_instance_uid == "1.2.3"
    stored = tmp_path / "blobs" / staged.ref.sha256[:2] / staged.ref.sha256
    assert stored.read_bytes() == file_meta(CT, "1.2.3", EXPLICIT) + data_set


async def test_a_file_may_leave_it_to_its_data_set_which_instance_it_is(
    intake: Part10Intake,
) -> None:
    data_set = encoded(ct_instance(sop_instance_uid="1.2.3"))
    named = b"\x02\x00\x03\x00UI\x06\x001.2.3\x00"
    meta = file_meta(CT, "1.2.3", EXPLICIT)
    assert named in meta

    staged = await intake.stage(pieces(meta.replace(named, b"") + data_set))

    assert staged.attributes.sop_instance_uid == "1.2.3"


async def test_a_deflated_data_set_is_taken(intake: Part10Intake) -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data_set = encoded(ct_instance(sop_instance_uid="1.2.3"))
    deflated = deflater.compress(data_set) + deflater.flush()

    staged = await intake.stage(pieces(file_meta(CT, "1.2.3", DEFLATED) + deflated))

    assert staged.attributes.sop_instance_uid == "1.2.3"


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(500), b"\x7fELF" * 100])
async def test_what_is_not_dicom_leaves_nothing(
    intake: Part10Intake, tmp_path: Path, data: bytes
) -> None:
    with pytest.raises(NotDicomError):
        await intake.stage(pieces(data))

    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_a_cut_off_file_is_refused_and_kept_aside(
    intake: Part10Intake, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError):
        await intake.stage(pieces(part10(ct_instance())[:-100]))

    assert len(list((tmp_path / "quarantine").glob("*.dcm"))) == 1


async def test_a_file_that_is_too_large_is_refused(intake: Part10Intake) -> None:
    with pytest.raises(RefusedError, match="larger"):
        await intake.stage(pieces(part10(ct_instance(size=2000)), 100_000))


async def test_a_dicomdir_is_no_instance(intake: Part10Intake) -> None:
    head = file_meta(MEDIA_STORAGE_DIRECTORY, "1.2.3", EXPLICIT)

    with pytest.raises(RefusedError, match="DICOMDIR"):
        await intake.stage(pieces(head + b"\x04\x00\x30\x11CS\x00\x00"))


def test_a_broken_uid_in_the_meta_information_is_told_from_what_is_not_dicom() -> None:
    broken = part10(ct_instance()).replace(EXPLICIT.encode(), b"1.2.840.EVIL.1.2.1")

    with pytest.raises(Exception, match="TransferSyntaxUID"):
        read_head(broken)
