"""Whether we commit to an instance: indexed, of its class, its bytes what they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from gateway.commitment.commitment import (
    CLASS_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Reference,
)
from gateway.query_retrieve.selection import Selection
from gateway.query_retrieve.stored import NOT_READ, StoredInstance

_BATCH: Final = 1_000


class Store(Protocol):
    """Where instances are found and read."""

    async def find(self, selection: Selection) -> list[StoredInstance]:
        """Return the instances of a selection."""
        ...

    async def verify(self, instance: StoredInstance) -> None:
        """Read an instance whole and compare it with its hash.

        Raises:
            ServiceError, ServiceCallError, OSError, DicomError: It cannot be read, or is another.
        """
        ...


async def failures(references: Sequence[Reference], store: Store) -> dict[Reference, int]:
    """Return the failure reason of each instance that we do not commit to.

    Raises:
        ServiceCallError, DicomError: Instances cannot be looked up now.
    """
    found: dict[Reference, int] = {}
    for batch in _batches(references):
        uids = tuple(one.sop_instance_uid for one in batch)
        located = await store.find(Selection(sop_instance_uids=uids))
        by_uid = {instance.sop_instance_uid: instance for instance in located}
        for one in batch:
            reason = await _reason(one, by_uid.get(one.sop_instance_uid), store)
            if reason:
                found[one] = reason
    return found


async def _reason(one: Reference, instance: StoredInstance | None, store: Store) -> int:
    if instance is None:
        return NO_SUCH_INSTANCE
    if instance.sop_class_uid != one.sop_class_uid:
        return CLASS_CONFLICT
    try:
        await store.verify(instance)
    except NOT_READ:
        return PROCESSING_FAILURE
    return 0


def _batches(references: Sequence[Reference]) -> Iterator[Sequence[Reference]]:
    for start in range(0, len(references), _BATCH):
        yield references[start : start + _BATCH]
