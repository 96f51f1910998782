"""The journal: durable, in order, torn only where nothing was promised, and bounded."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.journal import Journal
from services.runtime.errors import StorageFullError

RECORDS = [b"record %d" % number for number in range(50)]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def append_all(journal: Journal, records: list[bytes]) -> None:
    await asyncio.gather(*(journal.append(record) for record in records))


async def kept(journal: Journal) -> list[bytes]:
    found: list[bytes] = []
    while (segment := await journal.oldest()) is not None:
        found += segment.records()
        await journal.drop(segment)
    return found


async def test_records_come_back_in_order_after_a_restart(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    await append_all(Journal(tmp_path / "j", 1 << 20, executor), RECORDS)

    again = Journal(tmp_path / "j", 1 << 20, executor)

    assert not again.is_empty
    assert await kept(again) == RECORDS
    assert again.is_empty
    assert not list((tmp_path / "j").iterdir())


async def test_a_restarted_journal_goes_on_behind_what_is_there(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    await append_all(Journal(tmp_path, 1 << 20, executor), [b"first"])
    second = Journal(tmp_path, 1 << 20, executor)

    await append_all(second, [b"second"])

    assert await kept(second) == [b"first", b"second"]


@pytest.mark.parametrize("cut", range(1, 24))
async def test_a_torn_tail_costs_only_the_torn_record(
    tmp_path: Path, executor: ThreadPoolExecutor, cut: int
) -> None:
    await append_all(Journal(tmp_path, 1 << 20, executor), [b"first", b"torn in the tail"])
    file = next(tmp_path.glob("*.journal"))
    os.truncate(file, file.stat().st_size - cut)

    assert await kept(Journal(tmp_path, 1 << 20, executor)) == [b"first"]


@pytest.mark.parametrize("tail", [bytes(64), b"\xff" * 64, b"\x05\0\0\0\0\0\0\0hello"])
async def test_rubbish_at_the_end_is_not_taken_for_records(
    tmp_path: Path, executor: ThreadPoolExecutor, tail: bytes
) -> None:
    await append_all(Journal(tmp_path, 1 << 20, executor), [b"first"])
    with next(tmp_path.glob("*.journal")).open("ab") as file:
        file.write(tail)

    assert await kept(Journal(tmp_path, 1 << 20, executor)) == [b"first"]


async def test_a_full_journal_says_so_and_takes_more_once_emptied(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    journal = Journal(tmp_path, 1000, executor)
    await journal.append(b"x" * 900)

    with pytest.raises(StorageFullError):
        await journal.append(b"x" * 900)

    await kept(journal)
    await journal.append(b"x" * 900)
    assert await kept(journal) == [b"x" * 900]


async def test_records_that_come_together_share_a_flush(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[int] = []
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        flushes.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    journal = Journal(tmp_path, 1 << 20, executor)

    await append_all(journal, RECORDS)

    assert 1 <= len(flushes) <= 3


async def test_a_failed_flush_promises_nothing_and_is_never_retried(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, 1 << 20, executor)
    await journal.append(b"safe")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _eio)
        with pytest.raises(OSError, match="I/O"):
            await journal.append(b"lost")

    await journal.append(b"later")

    assert len(list(tmp_path.glob("*.journal"))) == 2
    records = await kept(journal)
    assert records[0] == b"safe"
    assert records[-1] == b"later"


def _eio(_descriptor: int) -> None:
    raise OSError(errno.EIO, "I/O error")
