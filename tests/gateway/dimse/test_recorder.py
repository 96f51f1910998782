"""The flight recorder: enough to help, nothing of a patient."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from gateway.dimse.settings import DicomSettings
from tests.gateway.conftest import Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.requester import EXPLICIT, Requester, identifier
from tests.support.scu import CT, VERIFICATION, Scu

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


async def test_what_an_association_said_is_kept(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance(size=200)
    data = encoded(dataset)

    def work() -> None:
        with Scu(gateway.port) as scu:
            scu.associate([(1, CT, (EXPLICIT,)), (3, VERIFICATION, (EXPLICIT,)), (5, "1.2.3", ())])
            scu.store(data, dataset.SOPInstanceUID)
            scu.release()

    await asyncio.to_thread(work)

    [record] = gateway.gateway.recorder.recent(10)
    assert [(t.kind, t.received) for t in record.traffic] == [
        ("A-ASSOCIATE-AC", False),
        ("C-STORE-RQ", True),
        ("C-STORE-RSP", False),
        ("A-RELEASE-RQ", True),
    ]
    stored, answered = list(record.traffic)[1:3]
    assert (stored.sop_class_uid, stored.context_id, stored.message_id) == (CT, 1, 1)
    assert stored.pdu_count == 1 + -(-len(data) // 16000)
    assert stored.byte_count > len(data)
    assert answered.status == 0x0000
    assert (record.outcome, record.calling_ae_title) == ("RELEASED", "TESTSCU")
    assert [(c.context_id, c.result) for c in record.contexts] == [(1, 0), (3, 0), (5, 3)]


async def test_nothing_of_a_patient_or_an_instance_is_kept(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.peers.add("TESTSCU")
    dataset = ct_instance()

    def work() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, CT, (EXPLICIT,)), (3, STUDY_ROOT, (EXPLICIT,))])
            scu.store(encoded(dataset), dataset.SOPInstanceUID)
            keys = identifier(QueryRetrieveLevel="STUDY", PatientName="CANARY^NAME")
            scu.request(0x0020, STUDY_ROOT, keys, context_id=3)
            scu.answers()
            scu.release()

    await asyncio.to_thread(work)

    [record] = gateway.gateway.recorder.recent(10)
    text = str(asdict(record))
    assert "C-FIND-RQ" in text
    for secret in ("CANARY", "PHANTOM", dataset.SOPInstanceUID, dataset.StudyInstanceUID):
        assert secret not in text


async def test_rejections_and_broken_rules_are_kept(start_gateway: Start) -> None:
    gateway = await start_gateway(require_called_ae_title=True, ae_title="OTHER")

    def work() -> None:
        with Scu(gateway.port) as scu:
            scu.associate()

    await asyncio.to_thread(work)

    [record] = gateway.gateway.recorder.recent(10)
    await until(lambda: record.outcome == "REJECTED")
    assert [t.kind for t in record.traffic] == ["A-ASSOCIATE-RJ"]


async def test_as_many_are_kept_as_is_set(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=DicomSettings(recent_associations=2, recent_messages=3))
    dataset = ct_instance(size=8)

    def work() -> None:
        for _ in range(3):
            with Scu(gateway.port) as scu:
                scu.associate()
                for _ in range(5):
                    scu.store(encoded(dataset), dataset.SOPInstanceUID)
                scu.release()

    await asyncio.to_thread(work)

    records = gateway.gateway.recorder.recent(10)
    assert len(records) == 2
    assert records[0].begin_time > records[1].begin_time
    assert len(records[0].traffic) == 3
    assert records[0].message_count == 10
    assert gateway.gateway.recorder.recent(1) == records[:1]
