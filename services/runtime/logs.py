"""Structured logs: JSON lines on stdout that cannot carry patient data.

Redaction is an allow-list and the last step before a line is written. A key that is not listed
here is dropped; a value that does not have the form its key promises becomes "[redacted]". Event
names are constants such as "call.ended". Lines of libraries keep only where they come from: their
texts may quote what a peer sent.

Usage: ``log.info(logs.CALL_ENDED, method=..., code=...)`` with ``log = logs.get_logger()``.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType, TracebackType
from typing import Any, Final, TextIO

import structlog

REDACTED: Final = "[redacted]"
LIBRARY_MESSAGE: Final = "library.message"
UNCAUGHT: Final = "process.uncaught"

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}(\.[A-Za-z_][A-Za-z0-9_-]{0,63}){0,9}")
_METHOD: Final = re.compile(r"/[A-Za-z0-9_.]{1,100}/[A-Za-z0-9_]{1,64}")
_CORRELATION: Final = re.compile(r"[A-Za-z0-9._-]{1,64}|")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}|")
_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")
_TIME: Final = re.compile(r"[0-9TZ:.+-]{10,40}")
_FRAME: Final = re.compile(r"[A-Za-z0-9_.<>-]{1,120}:[0-9]{1,6}:[A-Za-z0-9_<>]{1,100}")
_SCOPE: Final = re.compile(r"[a-z_]{1,40}")

ALLOWED: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        # what every line has
        "event": _EVENT,
        "level": _NAME,
        "timestamp": _TIME,
        "logger": _NAME,
        "service": _NAME,
        "version": _VERSION,
        "pid": _NAME,
        # calls
        "method": _METHOD,
        "code": _CODE,
        "reason": _CODE,
        "duration_s": _NAME,
        "subject": re.compile(r"[a-z0-9._-]{1,64}|"),
        "correlation_id": _CORRELATION,
        "permission": _SCOPE,
        "dependency": _NAME,
        "limit": _NAME,
        # our own ids and hashes
        "study_id": _ID,
        "series_id": _ID,
        "instance_id": _ID,
        "stage_id": _ID,
        "attempt_id": _ID,
        "job_id": _ID,
        "entry_id": _ID,
        "event_id": _ID,
        "user_id": _ID,
        "sha256": _SHA256,
        # work
        "stage": _NAME,
        "state": _NAME,
        "model": _NAME,
        "tool": _NAME,
        "worker": _NAME,
        "rule": _CODE,
        "task": _NAME,
        "signal": _NAME,
        "attempt": _NAME,
        "generation": _NAME,
        "count": _NAME,
        "size_bytes": _NAME,
        "delay_s": _NAME,
        "exit_code": _NAME,
        "grace_s": _NAME,
        # errors: what and where, never the text
        "error_type": _NAME,
        "frames": _FRAME,
        "file": re.compile(r"[A-Za-z0-9_.-]{1,120}"),
        "line": _NAME,
    }
)
"""Keys that may be logged and the form their text has; numbers and booleans always may."""


def get_logger() -> Any:
    """Return a logger; what it writes goes through redaction."""
    return structlog.get_logger()


def configure_logs(level: str, service: str, output: TextIO | None = None) -> None:
    """Send our log lines and those of all libraries to one stream as JSON.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        service: Our name of the service, part of each line.
        output: Where lines go; stdout unless given.
    """
    stream = output or sys.stdout
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _ServiceName(service),
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(logging.getLevelName(level), logging.INFO))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda failure: _log_uncaught(
        failure.exc_type, failure.exc_value, failure.exc_traceback
    )


def redact(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep what `ALLOWED` lists, in the form it promises."""
    return {key: _redacted(ALLOWED[key], value) for key, value in line.items() if key in ALLOWED}


def failure(error: BaseException) -> dict[str, Any]:
    """Return what may be logged of an exception: its type and frames, not its text or locals."""
    return {"error_type": type(error).__qualname__, "frames": frames(error.__traceback__)}


def frames(traceback: TracebackType | None) -> list[str]:
    """Return "module:line:function" of each frame, outermost first."""
    found: list[str] = []
    while traceback is not None:
        frame = traceback.tb_frame
        module = frame.f_globals.get("__name__", "unknown")
        found.append(f"{module}:{traceback.tb_lineno}:{frame.f_code.co_name}")
        traceback = traceback.tb_next
    return found


def _redacted(form: re.Pattern[str], value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_redacted(form, item) for item in value]
    if isinstance(value, str) and form.fullmatch(value):
        return value
    return REDACTED


class _ServiceName:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        line["service"] = self._service
        return line


class _LibraryHandler(logging.Handler):
    """Passes on where a library logged and what was raised there, not what it wrote."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        details = failure(error) if error is not None else {}
        log = get_logger()
        write = getattr(log, record.levelname.lower(), log.info)
        write(
            LIBRARY_MESSAGE,
            logger=record.name,
            file=record.filename,
            line=record.lineno,
            **details,
        )


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, _traceback: TracebackType | None
) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    get_logger().error(UNCAUGHT, **failure(error))
