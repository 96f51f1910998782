"""The de-identification servicer, called through a real channel with real processes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import pytest_asyncio
from pydicom.dataset import Dataset
from pydicom.uid import UID

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import profile_pb2
from services.deid.certificate import public_key_text, signing_key, verified
from services.deid.key_files import read_key
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.local_blobs import LocalBlobs
from tests.support.deid_service import PROJECT, RESEARCH, DeidService, running_deid
from tests.support.instances import part10

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deid(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DeidService]:
    async with running_deid(tmp_path_factory.mktemp("deid"), processes=2) as running:
        yield running


async def test_a_series_is_deidentified_from_blob_store_to_blob_store(
    deid: DeidService, ct: Dataset
) -> None:
    sources = await deid.stored(part10(ct), part10(ct))

    instances, outcome = await deid.series(sources)

    assert [one.instance_id for one in instances] == ["source-0", "source-1"]
    copy = pydicom.dcmread(BytesIO(await deid.read(instances[0].released)))
    assert str(copy.SOPInstanceUID) == instances[0].sop_instance_uid != ct.SOPInstanceUID
    assert copy.StudyInstanceUID == instances[0].study_instance_uid
    assert "KANARIENVOGEL" not in str(copy)
    assert (outcome.released_count, outcome.held_count) == (2, 0)
    key = read_key(deid.keys / f"{PROJECT}.json")
    trusted = public_key_text(signing_key(key.first.key).public_key())
    certificate = verified((await deid.read(outcome.certificate)).decode(), trusted)
    assert certificate["entries"][0]["sha256"] == instances[0].released.sha256
    assert certificate["key_id"] == outcome.key_id
    assert deid.left() == []


async def test_an_object_is_held_with_its_reason_and_the_others_are_released(
    deid: DeidService, ct: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    good = part10(ct)
    ct.SOPClassUID = UID("1.2.3.4.5")
    unknown = part10(ct)
    sources = await deid.stored(good, unknown, b"no DICOM at all", good[: len(good) - 100])

    instances, outcome = await deid.series(sources)

    assert [one.HasField("released") for one in instances] == [True, False, False, False]
    assert [finding.code for finding in instances[2].findings] == ["INVALID_DICOM"]
    assert all(one.findings and one.findings[0].rule for one in instances[1:])
    assert (outcome.released_count, outcome.held_count) == (1, 3)
    logged = "".join(capfd.readouterr())
    assert "DeidentifySeries" in logged
    assert "KANARIEN" not in logged
    assert "MRN-7719034" not in logged
    assert ct.SOPInstanceUID not in logged
    assert deid.server.trail.entries[-1].action == AuditAction.AUDIT_ACTION_DEIDENTIFY


async def test_the_same_series_twice_gives_the_same_bytes(deid: DeidService, ct: Dataset) -> None:
    sources = await deid.stored(part10(ct))

    first, _ = await deid.series(sources)
    second, _ = await deid.series(sources)

    assert first[0].released == second[0].released


async def test_what_an_object_was_opens_for_its_own_pseudonym_alone(
    deid: DeidService, ct: Dataset
) -> None:
    _, outcome = await deid.series(await deid.stored(part10(ct)))
    links = {link.kind: link for link in outcome.links}
    patient, study = links[pb.PSEUDONYM_KIND_PATIENT], links[pb.PSEUDONYM_KIND_STUDY]

    opened = await deid.stub.OpenSealed(_sealed(patient))
    opened_study = await deid.stub.OpenSealed(_sealed(study))

    assert opened.identity.patient_id_text == "MRN-7719034"
    assert opened.identity.patient_name == "KANARIENVOGEL^ADELHEID"
    assert opened.identity.patient_birth_date == "19310713"
    assert opened_study.identity.original_uid == ct.StudyInstanceUID
    assert len(links) == 3
    assert b"KANARIENVOGEL" not in outcome.SerializeToString()
    for changed in (
        _sealed(patient, pseudonym="ANOTHERPATIENT00"),
        _sealed(patient, kind=pb.PSEUDONYM_KIND_STUDY),
        _sealed(patient, sealed=patient.sealed[:-1]),
        _sealed(patient, sealed=b""),
        _sealed(patient, sealed=b"\x01\0\0\0\x07" + patient.sealed[5:]),
    ):
        assert await _reason(deid.stub.OpenSealed(changed)) == "ERROR_REASON_INVALID_FIELD"


async def test_a_lost_key_is_not_replaced(deid: DeidService, ct: Dataset) -> None:
    project = "01a1fe65-4036-7068-815a-f87418a50001"
    sources = await deid.stored(part10(ct))
    _, outcome = await deid.series(sources, project)
    path = deid.keys / f"{project}.json"
    path.rename(path.with_suffix(".away"))
    unavailable = "ERROR_REASON_DEID_KEY_UNAVAILABLE"

    with pytest.raises(ServiceCallError) as lost, typed_errors():
        await deid.series(sources, project)
    (deid.keys / f"{project}.made").unlink()
    with pytest.raises(ServiceCallError) as expected, typed_errors():
        await deid.series(sources, project, key_id=outcome.key_id)
    await deid.series(sources, project)  # a new project, as far as anybody knows
    with pytest.raises(ServiceCallError) as another, typed_errors():
        await deid.series(sources, project, key_id=outcome.key_id)

    assert [one.value.reason for one in (lost, expected, another)] == [unavailable] * 3
    rotated = deid.stub.RotateKey(pb.RotateKeyRequest(project_id=project.replace("0001", "0002")))
    assert await _reason(rotated) == unavailable


async def test_rotation_keeps_the_pseudonyms_of_those_who_are_known(
    deid: DeidService, ct: Dataset
) -> None:
    project = "01a1fe65-4036-7068-815a-f87418a50003"
    sources = await deid.stored(part10(ct))
    before, first = await deid.series(sources, project)
    tag = first.links[0].patient_tag

    rotated = await deid.stub.RotateKey(pb.RotateKeyRequest(project_id=project))
    known, second = await deid.series(sources, project, key_versions={tag: 1})
    fresh, third = await deid.series(sources, project, key_id=first.key_id)

    assert rotated.key_version == 2
    assert known[0].released == before[0].released
    assert fresh[0].released != before[0].released
    assert [link.key_version for link in third.links] == [2, 2, 2]
    assert {link.patient_tag for link in (*second.links, *third.links)} == {tag}
    assert first.key_id == second.key_id == third.key_id
    opened = await deid.stub.OpenSealed(_sealed(first.links[0], project_id=project))
    assert opened.identity.patient_id_text == "MRN-7719034"
    with pytest.raises(ServiceCallError) as missing, typed_errors():
        await deid.series(sources, project, key_versions={tag: 3})
    assert missing.value.reason == "ERROR_REASON_DEID_KEY_UNAVAILABLE"


async def test_a_comparison_masks_values_unless_they_are_to_be_revealed(
    deid: DeidService, ct: Dataset
) -> None:
    [source] = await deid.stored(part10(ct))
    await deid.series([source])
    request = pb.CompareInstanceRequest(
        project_id=PROJECT, profile=RESEARCH, content=source.content
    )

    masked = await deid.stub.CompareInstance(request)
    request.reveal = True
    revealed = await deid.stub.CompareInstance(request)

    changes = {change.keyword: change for change in masked.changes}
    assert changes["PatientName"].before == "PN ***"
    assert changes["PatientName"].action == "D"
    assert len(changes["PatientName"].after) == 16
    assert changes["StudyDate"].action == "C"
    assert "Modified Dates" in changes["StudyDate"].rule
    assert changes["AccessionNumber"].action in ("X", "Z")
    assert changes["StudyInstanceUID"].action == "U"
    assert changes["StudyInstanceUID"].element == "0020000d"
    assert masked.kept_count > 10
    assert not masked.findings
    assert b"KANARIEN" not in masked.SerializeToString()
    assert "KANARIENVOGEL^ADELHEID" in [change.before for change in revealed.changes]


async def test_a_projects_rule_takes_away_more_and_never_less(
    deid: DeidService, ct: Dataset
) -> None:
    ct.StudyID = "7"
    sources = await deid.stored(part10(ct))
    rules = [
        profile_pb2.Rule(tag="00080070", action=profile_pb2.RULE_ACTION_REMOVE, reason="site"),
        profile_pb2.Rule(tag="00180015", action=profile_pb2.RULE_ACTION_EMPTY),
        profile_pb2.Rule(tag="00100030", action=profile_pb2.RULE_ACTION_CLEAN),
    ]
    profile = profile_pb2.Profile(preset=profile_pb2.PROFILE_PRESET_RESEARCH, rules=rules)

    plain, _ = await deid.series(sources)
    ruled, outcome = await deid.series(sources, profile=profile)

    before, after = [
        pydicom.dcmread(BytesIO(await deid.read(one[0].released))) for one in (plain, ruled)
    ]
    assert "Manufacturer" in before
    assert "Manufacturer" not in after
    certificate = json.loads(await deid.read(outcome.certificate))
    assert certificate["rules"] == ["00080070 remove", "00180015 empty", "00100030 clean"]
    assert after.get("PatientBirthDate", "") == before.get("PatientBirthDate", "")
    for tag in ("00080018", "00100010", "0010", "0002000G", "00020010"):
        broken = profile_pb2.Rule(tag=tag, action=profile_pb2.RULE_ACTION_REMOVE)
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await deid.series(sources, profile=profile_pb2.Profile(rules=[broken]))
        assert caught.value.reason == "ERROR_REASON_INVALID_FIELD"


async def test_what_a_person_approved_is_let_through_but_no_identifier(
    deid: DeidService, ct: Dataset
) -> None:
    ct.SOPClassUID = UID("1.2.3.4.5")
    [source] = await deid.stored(part10(ct))
    held, _ = await deid.series([source])
    code = held[0].findings[0].code
    source.approved_codes.append(code)

    approved, outcome = await deid.series([source])

    certificate = json.loads(await deid.read(outcome.certificate))
    assert certificate["entries"][0]["approved"] == [code]
    assert code == "UNKNOWN_SOP_CLASS"
    assert approved[0].HasField("released")


async def test_a_blob_that_is_absent_or_damaged_ends_the_call(
    deid: DeidService, ct: Dataset
) -> None:
    good, other = await deid.stored(part10(ct), b"other bytes")
    absent = pb.SourceInstance()
    absent.CopyFrom(good)
    absent.content.sha256 = "0" * 64
    damaged_file = deid.blob_folder / other.content.sha256[:2] / other.content.sha256
    damaged_file.write_bytes(part10(ct))

    with pytest.raises(ServiceCallError) as missing, typed_errors():
        await deid.series([good, absent])
    with pytest.raises(ServiceCallError) as corrupt, typed_errors():
        await deid.series([good, other])

    assert missing.value.reason == "ERROR_REASON_BLOB_NOT_FOUND"
    assert corrupt.value.reason == "ERROR_REASON_BLOB_CORRUPT"


async def test_a_full_disk_ends_the_call_and_leaves_nothing(
    deid: DeidService, ct: Dataset, tmp_path: Path
) -> None:
    sources = await deid.stored(part10(ct))
    full = LocalBlobs(deid.blob_folder, free_bytes=1 << 60)
    before = sorted(deid.blob_folder.rglob("*"))

    async with running_deid(tmp_path, full, processes=1) as other:
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await other.series(sources)

    assert caught.value.reason == "ERROR_REASON_STORAGE_FULL"
    assert sorted(deid.blob_folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.DeidentifySeriesRequest(project_id=PROJECT), "instances"),
        (
            pb.DeidentifySeriesRequest(
                project_id="../" + PROJECT[3:], instances=[pb.SourceInstance()]
            ),
            "instances[0].content.sha256",
        ),
    ],
)
async def test_a_request_that_breaks_a_rule_is_refused_and_says_which(
    deid: DeidService, request_: pb.DeidentifySeriesRequest, field: str
) -> None:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        async for _ in deid.stub.DeidentifySeries(request_):
            pass

    assert caught.value.metadata["field"] == field


async def test_a_project_is_named_by_an_id_and_by_no_path(deid: DeidService, ct: Dataset) -> None:
    sources = await deid.stored(part10(ct))

    for name in ("../../etc/passwd", "", PROJECT.upper(), PROJECT + "/x"):
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await deid.series(sources, name)
        assert caught.value.metadata["field"] == "project_id"


async def test_the_tools_are_described(deid: DeidService) -> None:
    tools = await deid.stub.DescribeTools(pb.DescribeToolsRequest())

    presets = {preset.preset: preset.options for preset in tools.presets}
    assert len(presets) == 3
    research = presets[profile_pb2.PROFILE_PRESET_RESEARCH]
    assert profile_pb2.PROFILE_OPTION_RETAIN_MODIFIED_DATES in research
    assert tools.table_edition


def _sealed(
    link: pb.SealedLink, project_id: str = PROJECT, **changes: object
) -> pb.OpenSealedRequest:
    fields = {
        "project_id": project_id,
        "sealed": link.sealed,
        "kind": link.kind,
        "pseudonym": link.pseudonym,
    }
    return pb.OpenSealedRequest(**(fields | changes))  # type: ignore[arg-type]


async def _reason(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value.reason
