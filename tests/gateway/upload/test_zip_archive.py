from __future__ import annotations

import resource
import zipfile
from contextlib import closing
from pathlib import Path
from typing import IO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.upload.zip_archive import ArchiveLimits, BadArchiveError, ZipArchive
from tests.gateway.upload.archives import (
    LIMITS,
    central,
    claiming,
    end,
    overlapping,
    with_link,
    written,
    zipped,
)


def contents(path: Path, limits: ArchiveLimits = LIMITS) -> dict[bytes, bytes]:
    with closing(ZipArchive(path, limits)) as archive:
        return {entry.name: b"".join(archive.content(entry)) for entry in archive.entries()}


@pytest.mark.parametrize("stored", [True, False])
def test_what_python_packs_is_unpacked(tmp_path: Path, stored: bool) -> None:
    files = {"a/one": b"1" * 3_000_000, "two": b"", "three": bytes(range(256)) * 100}
    path = written(tmp_path, zipped(files, stored=stored))

    found = contents(path, ArchiveLimits(10, 1 << 30, 10_000, 0))

    assert found == {name.encode(): data for name, data in files.items()}


def test_wide_sizes_and_offsets_are_read(tmp_path: Path) -> None:
    path = tmp_path / "wide.zip"
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        with archive.open("one", "w", force_zip64=True) as entry:
            entry.write(b"wide" * 1000)
        with archive.open("two", "w", force_zip64=True) as entry:
            entry.write(b"x")

    assert contents(path) == {b"one": b"wide" * 1000, b"two": b"x"}


def test_a_stream_with_its_sizes_behind_it_is_read(tmp_path: Path) -> None:
    class Pipe:
        def __init__(self, path: Path) -> None:
            self.file = path.open("wb")

        def write(self, data: bytes) -> int:
            return self.file.write(data)

        def flush(self) -> None:
            self.file.flush()

    path = tmp_path / "streamed.zip"
    pipe = Pipe(path)
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w") as archive:
        archive.writestr("one", b"streamed")
    pipe.file.close()

    assert contents(path) == {b"one": b"streamed"}


@pytest.mark.parametrize("claimed", [100, 99_999, 200_000])
def test_a_forged_size_is_found_out(tmp_path: Path, claimed: int) -> None:
    path = written(tmp_path, claiming(b"a" * 100_000, claimed))

    with pytest.raises(BadArchiveError, match="than it claims"):
        contents(path)


def test_a_forged_size_never_inflates_past_what_it_claims(tmp_path: Path) -> None:
    path = written(tmp_path, claiming(bytes(50 << 20), 10))
    archive = ZipArchive(path, LIMITS)

    with closing(archive), pytest.raises(BadArchiveError):
        assert sum(map(len, archive.content(next(archive.entries())))) <= 10


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = written(tmp_path, zipped({"zeros": bytes(60 << 20)}))

    with pytest.raises(BadArchiveError, match="inflates too far"):
        ZipArchive(path, LIMITS)


def test_more_than_may_be_inflated_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, claiming(b"a", 65 << 20))

    with pytest.raises(BadArchiveError, match="too large when inflated"):
        ZipArchive(path, LIMITS)


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, overlapping(900, 50_000))

    with pytest.raises(BadArchiveError, match="overlap"):
        ZipArchive(path, LIMITS)


def test_a_million_entries_are_refused_without_being_held(tmp_path: Path) -> None:
    record = central(0, 0, 0, 0, 0)
    count = 1_000_000
    local = b"PK\x03\x04" + bytes(26) + b"a"
    path = written(tmp_path, local + record * count + end(count, len(record) * count, len(local)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(BadArchiveError, match="too many entries"):
        ZipArchive(path, LIMITS)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, with_link("link", "/etc/passwd"))

    with pytest.raises(BadArchiveError, match="link"):
        contents(path)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"secret"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path = written(tmp_path, bytes(data))

    with pytest.raises(BadArchiveError, match="encrypted"):
        contents(path)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    data = zipped({"a": b"content here"}, stored=True).replace(b"content here", b"content hurt")
    path = written(tmp_path, data)

    with pytest.raises(BadArchiveError, match="checksum"):
        contents(path)


GOOD = zipped({"a": b"first" * 100, "b/c": b"second" * 50})


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    place=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255), cut=st.integers(0, len(GOOD))
)
def test_whatever_is_broken_it_is_one_error(
    tmp_path: Path, place: int, value: int, cut: int
) -> None:
    data = bytearray(GOOD)
    data[place] = value
    for broken in (bytes(data), GOOD[:cut], GOOD[cut:]):
        try:
            contents(written(tmp_path, broken))
        except BadArchiveError:
            continue
