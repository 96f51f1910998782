"""Limits that every process of the stack inherits from the supervisor."""

from __future__ import annotations

import resource
from typing import Final

OPEN_FILES: Final = 65_536
"""Enough for thousands of watches through Envoy; the usual 1024 is not."""


def set_limits() -> None:
    """Allow many open files, and no core dumps: memory holds patient data."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
