"""Nothing identified goes to a peer that is not inside, by whichever way."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import gateway
from gateway.dicomweb_client.client import DicomWebClient
from gateway.dicomweb_client.search import Search, SearchLevel
from gateway.dicomweb_client.store import store
from gateway.outgoing import associated
from gateway.peers.errors import PeerOutsideError
from gateway.peers.peer import DimseAddress, Peer, Recipient, ReleasedCopies, WebAddress
from gateway.query_retrieve.destination import Destination
from gateway.query_retrieve.stored import StoredInstance
from gateway.scu.client import DimseClient
from gateway.scu.find import Query
from gateway.scu.identifier import Key, Level, Model, RetrieveKeys, check_outside
from gateway.scu.sending import Sending
from gateway.scu.store import StoreUser
from heimdallr.access.v1 import options_pb2
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.runtime.blob_ref import BlobRef
from services.runtime.contracts import full_method, service_contracts
from tests.gateway.peers.conftest import MakeClient, collected

OUTSIDE = Peer(
    "01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29e",
    "cloud",
    inside=False,
    dimse=DimseAddress("CLOUD", "127.0.0.1", 9),
    web=WebAddress("http://127.0.0.1:9/dicom-web"),
)
PROJECT = "01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29f"
RELEASED = ReleasedCopies(PROJECT, frozenset({"ab" * 32}))
INSTANCE = StoredInstance("", "1.2", "1.3", "1.2.840.10008.1.2.1", BlobRef("cd" * 32, 1, "x/y"))
NEVER_LOOKED_AT: Any = None
SENDING_CALLS = {
    "/heimdallr.dimse.v1.DimseService/StoreInstances",
    "/heimdallr.dicomweb.v1.DicomWebClientService/StoreInstances",
}
"""Calls by which instances leave: whoever adds one adds its test below."""
SENDING_FUNCTIONS = {
    "gateway.dicomweb_client.store.store",
    "gateway.outgoing.associated",
    "gateway.scu.client.DimseClient.move",
    "gateway.scu.store.StoreUser.send",
}
"""Functions that take somebody to send to."""


def every_function() -> Iterator[tuple[str, Any]]:
    for info in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for holder in (module, *(k for _, k in inspect.getmembers(module, inspect.isclass))):
            for name, found in inspect.getmembers(holder, inspect.isfunction):
                if found.__module__ == info.name:
                    yield f"{found.__module__}.{found.__qualname__}", (name, found)


def test_there_is_no_recipient_outside_without_what_its_project_released() -> None:
    with_project = replace(OUTSIDE, deid_project_id=PROJECT)

    with pytest.raises(PeerOutsideError):
        Recipient(OUTSIDE)
    with pytest.raises(PeerOutsideError):
        Recipient(with_project)
    with pytest.raises(PeerOutsideError):
        Recipient(OUTSIDE, RELEASED)
    with pytest.raises(PeerOutsideError):
        Recipient(with_project, ReleasedCopies(OUTSIDE.peer_id, RELEASED.sha256s))
    Recipient(with_project, RELEASED)


def test_only_what_was_released_goes_to_a_recipient_outside() -> None:
    recipient = Recipient(replace(OUTSIDE, deid_project_id=PROJECT), RELEASED)

    recipient.require("ab" * 32)
    with pytest.raises(PeerOutsideError):
        recipient.require("cd" * 32)


def test_the_calls_that_send_are_known() -> None:
    sending = {
        full_method(method)
        for service in service_contracts()
        for method in service.methods
        if method.GetOptions().Extensions[options_pb2.audit_action]
        == AuditAction.AUDIT_ACTION_SEND_TO_PEER
    }

    assert sending == SENDING_CALLS


def test_whoever_sends_takes_a_recipient() -> None:
    takers = {
        path
        for path, (name, found) in every_function()
        if not name.startswith("_")
        and any("Recipient" in str(kind) for kind in inspect.get_annotations(found).values())
    }

    assert takers == SENDING_FUNCTIONS


def test_stored_bytes_are_read_for_those_who_check() -> None:
    """Each module that speaks to a peer and reads what is stored is one that checks."""
    readers = set()
    for info in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if info.name.endswith("__main__"):
            continue
        source = inspect.getsource(importlib.import_module(info.name))
        calls = "link.store(" in source or "session.post(" in source or "responder.store(" in source
        if calls and ".data_set(" in source:
            readers.add(info.name)

    assert readers == {
        "gateway.dicomweb_client.store",  # takes a `Recipient`
        "gateway.query_retrieve.destination",  # `associated` took a `Recipient`
        "gateway.query_retrieve.get",  # its caller is looked up in the registry
        "gateway.scu.store",  # takes a `Recipient`
    }


def forged() -> Recipient:
    recipient = object.__new__(Recipient)
    object.__setattr__(recipient, "peer", OUTSIDE)
    object.__setattr__(recipient, "released", None)
    return recipient


async def test_a_recipient_that_was_forged_is_found_out() -> None:
    unready = object.__new__(StoreUser)
    session: Any = SimpleNamespace(peer=OUTSIDE)

    with pytest.raises(PeerOutsideError):
        await collected(unready.send(forged(), []))
    with pytest.raises(PeerOutsideError):
        await collected(store(session, forged(), [INSTANCE], NEVER_LOOKED_AT))
    with pytest.raises(PeerOutsideError):
        await Destination(NEVER_LOOKED_AT, forged(), NEVER_LOOKED_AT, NEVER_LOOKED_AT).prepare(
            INSTANCE
        )


@pytest.mark.parametrize("sender", [Sending, DicomWebClient])
async def test_nothing_is_looked_up_for_a_peer_outside_without_a_project(
    sender: type[Any],
) -> None:
    unready = object.__new__(sender)
    send = unready.send if sender is Sending else unready.store
    arguments = (NEVER_LOOKED_AT,) * (2 if sender is Sending else 1)

    with pytest.raises(PeerOutsideError):
        await collected(send(OUTSIDE, *arguments))


async def test_sub_operations_of_a_move_go_to_no_outsider() -> None:
    with pytest.raises(PeerOutsideError):
        async with associated(forged(), [], NEVER_LOOKED_AT):
            pytest.fail("an association with an outsider")


@pytest.mark.parametrize(
    "key",
    [
        Key("PatientName", "DOE*"),
        Key("PatientID", "1"),
        Key("00100020", "1"),
        Key("AccessionNumber", "A1"),
        Key("StudyDescription", "of DOE"),
        Key("ReferringPhysicianName", "X"),
        Key("ReferencedPatientSequence.ReferencedSOPInstanceUID", "1.2"),
        Key("00091001", "private"),
    ],
)
async def test_a_key_that_could_tell_who_somebody_is_goes_to_no_outsider(
    make_client: MakeClient, key: Key
) -> None:
    client = make_client()
    web = DicomWebClient(*[NEVER_LOOKED_AT] * 6)

    with pytest.raises(PeerOutsideError):
        await collected(client.find(OUTSIDE, Query(Model.STUDY_ROOT, Level.STUDY, [key])))
    with pytest.raises(PeerOutsideError):
        await collected(web.search(OUTSIDE, Search(SearchLevel.STUDIES, keys=[key])))


async def test_a_patient_is_retrieved_from_no_outsider_by_id(make_client: MakeClient) -> None:
    client: DimseClient = make_client()
    keys = RetrieveKeys(Level.PATIENT, patient_id="DOE-1")

    for call in (client.get, client.move):
        with pytest.raises(PeerOutsideError):
            await collected(call(OUTSIDE, Model.PATIENT_ROOT, keys))


@pytest.mark.parametrize(
    "key",
    [
        Key("StudyInstanceUID", "1.2"),
        Key("Modality", "CT"),
        Key("PatientName"),
        Key("PatientID", "*"),
    ],
)
def test_what_tells_nobody_may_be_asked(key: Key) -> None:
    check_outside(OUTSIDE, [key])
