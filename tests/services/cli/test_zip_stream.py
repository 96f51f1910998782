from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from services.cli import zip_stream
from services.cli.zip_stream import ChangedError, Member, ZipStream

FILES = {"a/one.dcm": b"1" * 3_000_000, "Ação.dcm": b"two", "empty": b""}


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    made = []
    for number, (name, data) in enumerate(FILES.items()):
        path = tmp_path / str(number)
        path.write_bytes(data)
        made.append(Member(path, name, len(data)))
    return made


@pytest.mark.parametrize("narrow", [0xFFFFFFFF, 1000, 2])
def test_it_is_a_zip_file_of_the_size_it_said(
    members: list[Member], narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wide sizes and offsets without files of 4 GiB.
    monkeypatch.setattr(zip_stream, "_NARROW", narrow)
    stream = ZipStream(members)
    data = b"".join(stream.pieces())
    if narrow < 0xFFFFFFFF:
        data = data.replace(narrow.to_bytes(4, "little") * 2, b"\xff" * 8)

    assert len(data) == stream.size
    if narrow == 0xFFFFFFFF:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == FILES


@pytest.mark.parametrize("start", [0, 1, 29, 35, 1_500_000, 3_000_100])
def test_it_goes_on_at_any_byte(members: list[Member], start: int) -> None:
    stream = ZipStream(members)
    whole = b"".join(stream.pieces())

    assert b"".join(stream.pieces(start)) == whole[start:]
    assert b"".join(stream.pieces(len(whole) - 5)) == whole[-5:]


def test_a_file_that_changed_is_told(members: list[Member]) -> None:
    stream = ZipStream(members)
    members[1].path.write_bytes(b"longer than before")

    with pytest.raises(ChangedError):
        list(stream.pieces())
