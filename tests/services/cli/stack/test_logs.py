from __future__ import annotations

from pathlib import Path

from services.cli.stack.logs import RotatingLog


def test_a_full_log_moves_aside_at_the_end_of_a_line(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", max_bytes=20, kept=5)

    log.write(b"first line\n")
    log.write(b"second line\nthird")
    log.write(b" line\n")
    log.close()

    assert (tmp_path / "a.log.1").read_bytes() == b"first line\nsecond line\n"
    assert (tmp_path / "a.log").read_bytes() == b"third line\n"


def test_only_as_many_old_logs_as_told_are_kept(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", max_bytes=10, kept=2)

    for number in range(9):
        log.write(b"line %04d\n" % number)
    log.write(b"last\n")
    log.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert (tmp_path / "a.log.1").read_bytes() == b"line 0008\n"
    assert (tmp_path / "a.log").read_bytes() == b"last\n"


def test_a_log_of_an_earlier_run_is_continued_and_its_size_counts(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * 19)
    log = RotatingLog(tmp_path / "a.log", max_bytes=20)

    log.write(b"y\n")
    log.close()

    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 19 + b"y\n"


def test_a_log_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log")

    log.write(b"line\n")
    log.close()

    assert (tmp_path / "a.log").stat().st_mode & 0o777 == 0o600


def test_output_that_cannot_be_written_is_counted_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where the log's folder should be")
    log = RotatingLog(tmp_path / "folder" / "a.log")

    log.write(b"line\n")
    log.close()

    assert log.dropped_bytes == 5
