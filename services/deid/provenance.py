"""What made an outcome, for those who want to make it again."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from google.protobuf import duration_pb2, timestamp_pb2

from heimdallr.imaging.v1 import provenance_pb2
from services.deid.orders import Orders
from services.deid.profile.table import EDITION

VERSION: Final = importlib.metadata.version("heimdallr")
_TOOL: Final = "PS3.15 E.1-1"


class Clock:
    """Measures one piece of work from the moment it is made."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._started = time.monotonic()

    def provenance(self, orders: Orders, inputs: Sequence[str]) -> provenance_pb2.Provenance:
        """Return what the work came from.

        Args:
            orders: How it was done.
            inputs: SHA-256 of each object, in their order.
        """
        start, duration = timestamp_pb2.Timestamp(), duration_pb2.Duration()
        start.FromDatetime(self._start)
        duration.FromNanoseconds(int((time.monotonic() - self._started) * 1e9))
        labels = ",".join(sorted(one.label for one in orders.options))
        rules = ",".join(f"{one.tag:08x}:{one.action.name.lower()}" for one in orders.rules)
        return provenance_pb2.Provenance(
            service="deid",
            service_version=VERSION,
            tool=_TOOL,
            tool_version=EDITION,
            input_sha256=inputs,
            parameters=[f"key_id={orders.key.key_id}", f"options={labels}", f"rules={rules}"],
            device="cpu",
            start_time=start,
            duration=duration,
        )
