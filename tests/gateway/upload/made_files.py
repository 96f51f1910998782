"""Files to upload."""

from __future__ import annotations

from tests.support.instances import ct_instance, part10


def ct(number: int = 1, size: int = 64) -> bytes:
    return part10(ct_instance(number=number, size=size))
