"""What of ours is to be sent: instances by UID, found in the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.query_retrieve.stored import StoredInstance
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.dicom.uids import valid_uid
from services.runtime.blob_messages import blob_from_proto
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import (
    DependencyUnavailableError,
    InvalidFieldError,
    LimitExceededError,
)

MOST: Final = 100_000
"""Instances that one call sends."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances; the lists are AND-ed, an empty one lets all pass."""

    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()

    def check(self) -> None:
        """Check that something is asked for, and by UIDs.

        Raises:
            InvalidFieldError: It is not.
        """
        lists = {
            "study_instance_uids": (self.study_instance_uids, 1_000),
            "series_instance_uids": (self.series_instance_uids, 1_000),
            "sop_instance_uids": (self.sop_instance_uids, 10_000),
        }
        for name, (uids, most) in lists.items():
            if len(uids) > most or not all(map(valid_uid, uids)):
                raise InvalidFieldError(name, f"at most {most} UIDs")
        if not any(uids for uids, _ in lists.values()):
            raise InvalidFieldError("study_instance_uids", "at least one UID in one of the lists")


@dataclass(frozen=True, slots=True)
class Selected:
    """An instance that is to be sent.

    Attributes:
        instance: What it is and where its bytes are.
        study_instance_uid: Its study.
        series_instance_uid: Its series.
    """

    instance: StoredInstance
    study_instance_uid: str
    series_instance_uid: str


async def select(
    archive: pb_grpc.ArchiveServiceAsyncStub, selection: Selection
) -> Sequence[Selected]:
    """Return the instances of a selection.

    Raises:
        InvalidFieldError: The selection is none.
        LimitExceededError: It holds more than ``MOST``.
        DependencyUnavailableError: The archive cannot be asked now.
    """
    selection.check()
    call = archive.LocateInstances(
        pb.LocateInstancesRequest(
            study_instance_uids=selection.study_instance_uids,
            series_instance_uids=selection.series_instance_uids,
            sop_instance_uids=selection.sop_instance_uids,
        )
    )
    found: list[Selected] = []
    try:
        with typed_errors():
            async for answer in call:
                found += map(_selected, answer.instances)
                if len(found) > MOST:
                    raise LimitExceededError("selected_instances")
    except ServiceCallError:
        raise DependencyUnavailableError("archive") from None
    finally:
        call.cancel()
    return found


def _selected(located: pb.LocatedInstance) -> Selected:
    instance = StoredInstance(
        instance_id=located.instance_id,
        sop_class_uid=located.sop_class_uid,
        sop_instance_uid=located.sop_instance_uid,
        transfer_syntax_uid=located.transfer_syntax_uid,
        ref=blob_from_proto(located.blob),
        study_id=located.study_id,
        series_id=located.series_id,
    )
    return Selected(instance, located.study_instance_uid, located.series_instance_uid)
