"""What made a result, for those who want to make it again."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf import duration_pb2, timestamp_pb2

from heimdallr.imaging.v1 import provenance_pb2
from services.conversion import tool

_VERSION = importlib.metadata.version("heimdallr")


class Clock:
    """Measures one piece of work from the moment it is made."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._started = time.monotonic()

    def provenance(
        self, name: str, version: str, inputs: Sequence[str], parameters: Sequence[str] = ()
    ) -> provenance_pb2.Provenance:
        """Return what the work came from.

        Args:
            name: The tool.
            version: Its version.
            inputs: SHA-256 of each input, in the order of use.
            parameters: "name=value".
        """
        start, duration = timestamp_pb2.Timestamp(), duration_pb2.Duration()
        start.FromDatetime(self._start)
        duration.FromNanoseconds(int((time.monotonic() - self._started) * 1e9))
        return provenance_pb2.Provenance(
            service="conversion",
            service_version=_VERSION,
            tool=name,
            tool_version=version,
            input_sha256=inputs,
            parameters=sorted(parameters),
            device="cpu",
            start_time=start,
            duration=duration,
        )

    def by_tool(self, inputs: Sequence[str]) -> provenance_pb2.Provenance:
        """Return the provenance of a volume made by dcm2niix."""
        flags = [
            f"{flag}={value}"
            for flag, value in zip(tool.ARGUMENTS[::2], tool.ARGUMENTS[1::2], strict=True)
        ]
        return self.provenance(tool.NAME, tool.VERSION, inputs, flags)
