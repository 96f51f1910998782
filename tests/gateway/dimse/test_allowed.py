"""Who may associate: AE titles at addresses, and what the others are told."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from gateway.dimse.allowed import AllowList, parse_allowed
from gateway.dimse.settings import DicomSettings
from tests.gateway.conftest import Start, until
from tests.support.scu import Scu


@pytest.mark.parametrize(
    ("ae_title", "address", "allowed"),
    [
        ("CT1", "10.1.2.3", True),
        ("CT1", "10.1.2.4", False),
        ("CT2", "10.1.2.3", False),
        ("ct1", "10.1.2.3", False),
        ("CT2", "10.2.9.9", True),
        ("WITH SPACE", "192.168.1.1", True),
        ("ANYTHING", "172.16.0.9", True),
        ("ANYTHING", "172.17.0.9", False),
        ("CT1", "::ffff:10.1.2.3", True),
        ("V6", "fe80::1%eth0", True),
        ("CT1", "", False),
    ],
)
def test_an_entry_is_an_ae_title_at_an_address(ae_title: str, address: str, allowed: bool) -> None:
    entries = "CT1@10.1.2.3, CT2@10.2.0.0/16, WITH SPACE@192.168.1.1, *@172.16.0.0/16, V6@fe80::/10"

    settings = DicomSettings.model_validate({"allowed": entries})

    assert AllowList(settings.allowed).allows(ae_title, address) is allowed


def test_without_entries_everybody_may_associate() -> None:
    assert AllowList().allows("ANY", "203.0.113.1")


@pytest.mark.parametrize(
    "entry", ["CT1", "@10.0.0.1", "CT1@", "CT1@host", "CT1@10.0.0.1/8", "TITLETOOLONGFORDICOM@::1"]
)
def test_what_is_no_entry_is_wrong_configuration(entry: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_allowed(entry)
    with pytest.raises(ValidationError):
        DicomSettings.model_validate({"allowed": entry})


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        ("TESTSCU@127.0.0.1", 0x02),
        ("OTHER@127.0.0.1", 0x03),
        ("TESTSCU@192.0.2.1", 0x03),
    ],
    ids=["allowed", "another AE title", "another address"],
)
async def test_a_peer_that_is_not_on_the_list_is_rejected_for_good_and_audited(
    start_gateway: Start, entry: str, answer: int
) -> None:
    dicom = DicomSettings(allowed=(parse_allowed(entry),))
    gateway = await start_gateway(dicom=dicom)

    def ask() -> tuple[int, bytes]:
        with Scu(gateway.port) as scu:
            return scu.associate()

    kind, body = await asyncio.to_thread(ask)

    assert kind == answer
    if answer == 0x03:
        assert body == bytes((0, 1, 1, 3))
        await until(lambda: len(gateway.coordinator.audit.denied) == 1)
        [entry_kept] = gateway.coordinator.audit.denied
        assert entry_kept.method == "/dicom.Dimse/A_ASSOCIATE"
        assert entry_kept.subject == "ae.TESTSCU"
