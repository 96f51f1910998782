"""What may go to a peer outside: released copies, looked at once more; else nothing."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from gateway.peers.copies import HEAD_BYTES, syntax_of_copy
from gateway.peers.errors import PeerOutsideError
from gateway.peers.peer import Peer
from gateway.peers.release import Consignment, Preparing, Releases
from gateway.peers.selection import Selected
from gateway.query_retrieve.stored import StoredInstance, StoredInstances
from heimdallr.deid.v1 import review_service_pb2 as pb
from services.runtime.blob_messages import blob_to_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import DependencyUnavailableError, NotReleasedError
from services.runtime.ids import new_id
from services.runtime.local_blobs import LocalBlobs
from tests.gateway.peers.conftest import collected
from tests.support.instances import ct_instance, part10

PROJECT, STUDY, SERIES = new_id(), new_id(), new_id()
CLOUD = Peer(new_id(), "cloud", inside=False, deid_project_id=PROJECT)
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DICOM = "application/dicom"


class Answers:
    """A streamed answer that may be cancelled."""

    def __init__(self, answers: list[pb.ListReleasedResponse]) -> None:
        self._answers = answers

    def __aiter__(self) -> AsyncIterator[pb.ListReleasedResponse]:
        async def each() -> AsyncIterator[pb.ListReleasedResponse]:
            for answer in self._answers:
                yield answer

        return each()

    def cancel(self) -> None:
        """Nothing runs."""


@dataclass
class Review:
    """Tells states one after another; the last one again and again."""

    states: list[pb.ListReleasedResponse]
    objects: list[pb.ReleasedObject] = field(default_factory=list)
    started: list[pb.StartDeidentificationRequest] = field(default_factory=list)

    def ListReleased(self, request: pb.ListReleasedRequest) -> Answers:  # noqa: N802 -- contract
        now = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        tells = now.state == pb.RELEASE_STATE_COMPLETE or request.despite_held
        rest = pb.ListReleasedResponse(state=now.state, objects=self.objects)
        return Answers([now, rest] if tells else [now])

    async def StartDeidentification(  # noqa: N802 -- contract
        self, request: pb.StartDeidentificationRequest
    ) -> pb.StartDeidentificationResponse:
        self.started.append(request)
        return pb.StartDeidentificationResponse()


def state(name: str, **counts: Any) -> pb.ListReleasedResponse:
    return pb.ListReleasedResponse(state=pb.ReleaseState.Value(f"RELEASE_STATE_{name}"), **counts)


def copy_of(**changes: Any) -> Dataset:
    dataset = ct_instance(size=4)
    dataset.PatientIdentityRemoved = "YES"
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


@dataclass
class House:
    """A store with an original and its copy, and a review that knows both."""

    folder: Path
    copy: Dataset = field(default_factory=copy_of)

    async def releases(self, *states: pb.ListReleasedResponse, **changes: str) -> Releases:
        blobs = LocalBlobs(self.folder, free_bytes=0)
        ref = await blobs.put_bytes(part10(self.copy), DICOM)
        made = {"sop_instance_uid": str(self.copy.SOPInstanceUID)} | changes
        self.released = pb.ReleasedObject(
            instance_id=self.original.instance.instance_id,
            released=blob_to_proto(ref),
            sop_class_uid=CT,
            study_instance_uid=generate_uid(),
            series_instance_uid=generate_uid(),
            **made,
        )
        self.review = Review(list(states), [self.released])
        review: Any = self.review
        nobody: Any = None
        return Releases(review, StoredInstances(blobs, nobody, nobody), timeout_s=0.3)

    def __post_init__(self) -> None:
        ref = BlobRef(hashlib.sha256(b"original").hexdigest(), 8, DICOM)
        instance = StoredInstance(new_id(), CT, generate_uid(), EXPLICIT, ref, STUDY, SERIES)
        self.original = Selected(instance, generate_uid(), generate_uid())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "blobs")


async def test_a_peer_inside_gets_what_is_stored(house: House) -> None:
    releases = await house.releases(state("NOT_BEGUN"))

    [consignment] = await collected(
        releases.consign(replace(CLOUD, inside=True, deid_project_id=""), [house.original])
    )

    assert consignment.items == [house.original]
    assert house.review.started == []


async def test_what_is_not_made_yet_is_begun_and_waited_for(house: House) -> None:
    releases = await house.releases(
        state("NOT_BEGUN"), state("RUNNING"), state("COMPLETE", released_count=1)
    )

    *steps, last = await collected(releases.consign(CLOUD, [house.original]))

    assert [one.study_id for one in house.review.started] == [STUDY]
    assert steps[-1] == Preparing(1, 0)
    assert isinstance(last, Consignment)
    [item] = last.items
    assert item.instance.ref.sha256 == house.released.released.sha256
    assert item.instance.sop_instance_uid == house.released.sop_instance_uid
    assert item.instance.transfer_syntax_uid == EXPLICIT
    assert item.instance.is_copy
    last.recipient.require(item.instance.ref.sha256)
    with pytest.raises(PeerOutsideError):
        last.recipient.require(house.original.instance.ref.sha256)


async def test_what_is_held_refuses_the_whole(house: House) -> None:
    releases = await house.releases(state("HELD", released_count=1, held_count=2))

    with pytest.raises(NotReleasedError) as caught:
        await collected(releases.consign(CLOUD, [house.original]))

    assert caught.value.metadata["held_count"] == "2"


async def test_the_rest_goes_where_that_is_wanted(house: House) -> None:
    releases = await house.releases(state("HELD", released_count=1, held_count=2))

    steps = await collected(releases.consign(CLOUD, [house.original], released_only=True))

    assert len(steps[-1].items) == 1


async def test_without_the_service_nothing_goes(house: House) -> None:
    releases = await house.releases(state("NOT_BEGUN"), state("RUNNING"))

    with pytest.raises(DependencyUnavailableError):
        await collected(releases.consign(CLOUD, [house.original]))


@pytest.mark.parametrize(
    "changes",
    [{"PatientIdentityRemoved": "NO"}, {"PatientIdentityRemoved": ""}],
    ids=["says no", "says nothing"],
)
async def test_a_copy_that_does_not_say_so_stays(tmp_path: Path, changes: dict[str, str]) -> None:
    house = House(tmp_path, copy_of(**changes))
    releases = await house.releases(state("COMPLETE", released_count=1))

    with pytest.raises(PeerOutsideError):
        await collected(releases.consign(CLOUD, [house.original]))


async def test_a_copy_that_bears_another_uid_stays(house: House) -> None:
    releases = await house.releases(
        state("COMPLETE", released_count=1), sop_instance_uid=generate_uid()
    )

    with pytest.raises(PeerOutsideError):
        await collected(releases.consign(CLOUD, [house.original]))


async def test_a_peer_that_asks_is_not_made_to_wait(house: House) -> None:
    releases = await house.releases(state("NOT_BEGUN"), state("COMPLETE", released_count=1))

    first = await releases.begin(CLOUD, [house.original.instance])
    second = await releases.begin(CLOUD, [house.original.instance])

    assert first is None
    assert len(house.review.started) == 1
    assert second is not None
    assert len(second.items) == 1


@pytest.mark.parametrize("head", [b"", b"x" * 200, b"\0" * 128 + b"DICM"])
def test_what_is_no_dicom_is_no_copy(head: bytes) -> None:
    assert syntax_of_copy(head, "1.2.3") == ""


def test_a_copy_is_known_by_its_first_bytes() -> None:
    copy = copy_of()

    head = part10(copy)[:HEAD_BYTES]

    assert syntax_of_copy(head, str(copy.SOPInstanceUID)) == EXPLICIT
