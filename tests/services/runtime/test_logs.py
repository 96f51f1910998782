"""Logs carry what the list allows and nothing else."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.runtime import logs

CANARY = "DOE^JOHN"
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
OUR_ID = "01a1fe65-4036-7068-815a-f87418a51896"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    logs.configure_logs("INFO", "tested", stream)
    yield stream
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_has_event_level_time_and_service(output: io.StringIO) -> None:
    logs.get_logger().info("stage.done", study_id=OUR_ID, duration_s=1.5, attempt=2)

    [line] = lines(output)
    timestamp = line.pop("timestamp")
    assert line == {
        "event": "stage.done",
        "level": "info",
        "service": "tested",
        "study_id": OUR_ID,
        "duration_s": 1.5,
        "attempt": 2,
    }
    assert timestamp.endswith("Z")


@pytest.mark.parametrize("key", ["patient_name", "message", "exception", "text", "path", "uid"])
def test_a_key_that_is_not_listed_is_dropped(output: io.StringIO, key: str) -> None:
    logs.get_logger().info("stage.done", **{key: CANARY})

    assert key not in lines(output)[0]
    assert CANARY not in output.getvalue()


@pytest.mark.parametrize("key", sorted(set(logs.ALLOWED) - {"event", "level", "timestamp"}))
@pytest.mark.parametrize("value", [CANARY, "Doe, John 1970-01-01", {"name": CANARY}, [CANARY]])
def test_a_listed_key_takes_no_free_text(output: io.StringIO, key: str, value: object) -> None:
    logs.get_logger().info("stage.done", **{key: value})

    assert "DOE" not in output.getvalue()
    assert "Doe" not in output.getvalue()


@pytest.mark.parametrize("key", [key for key in logs.ALLOWED if key.endswith("_id")])
def test_a_dicom_uid_is_not_one_of_our_ids(output: io.StringIO, key: str) -> None:
    logs.get_logger().info("stage.done", **{key: STUDY_UID})

    written = lines(output)[0][key]
    assert written == (STUDY_UID if key == "correlation_id" else logs.REDACTED)


def test_an_event_is_a_constant_not_a_sentence(output: io.StringIO) -> None:
    logs.get_logger().info(f"received study of {CANARY}")

    assert lines(output)[0]["event"] == logs.REDACTED


def test_lower_levels_are_left_out(output: io.StringIO) -> None:
    logs.get_logger().debug("stage.done")

    assert lines(output) == []


def test_a_librarys_text_stays_out(output: io.StringIO) -> None:
    # Not one that a part of ours has silenced in this process.
    logging.getLogger("some.library").warning("Rejected %s", CANARY)

    [line] = lines(output)
    assert (line["event"], line["level"]) == ("library.message", "warning")
    assert (line["logger"], line["file"]) == ("some.library", "test_logs.py")
    assert isinstance(line["line"], int)
    assert "DOE" not in output.getvalue()


def test_a_librarys_exception_keeps_type_and_frames(output: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("asyncio").exception("failed on %s", CANARY)

    [line] = lines(output)
    assert line["error_type"] == "ValueError"
    assert line["frames"][0].endswith("test_a_librarys_exception_keeps_type_and_frames")
    assert "DOE" not in output.getvalue()


def test_a_warning_is_a_line_without_text(output: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"odd value {CANARY}", stacklevel=1)

    assert [line["logger"] for line in lines(output)] == ["py.warnings"]
    assert "DOE" not in output.getvalue()


def test_an_uncaught_exception_tells_no_text(output: io.StringIO) -> None:
    error = ValueError(CANARY)

    sys.excepthook(ValueError, error, None)

    assert lines(output)[0]["event"] == "process.uncaught"
    assert "DOE" not in output.getvalue()


def test_an_uncaught_exception_of_a_thread_tells_no_text(output: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError(CANARY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    assert lines(output)[0]["error_type"] == "ValueError"
    assert "DOE" not in output.getvalue()
