from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, evt

from services.cli.scu import Destination, send_files
from services.dicom.uids import (
    CT_IMAGE_STORAGE,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from tests.support.instances import ct_instance

_MR = "1.2.840.10008.5.1.4.1.1.4"


def _write(path: Path, dataset: Dataset, meta_instance: str = "1.2.3") -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_VR_LITTLE_ENDIAN)
    dataset.file_meta.MediaStorageSOPClassUID = UID(CT_IMAGE_STORAGE)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(meta_instance)
    dataset.file_meta.ImplementationClassUID = UID("1.2.3.4")
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        buffer = DicomIO(file)
        write_file_meta_info(buffer, dataset.file_meta, enforce_standard=False)
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_dataset(buffer, dataset)
    return path


@contextmanager
def _provider(sop_class: str, syntax: str) -> Iterator[tuple[Destination, list[Any]]]:
    stored: list[Any] = []

    def keep(event: Any) -> int:
        stored.append(event.request)
        return 0

    ae = AE(ae_title="PROVIDER")
    ae.add_supported_context(sop_class, syntax)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert server is not None
    try:
        yield Destination("127.0.0.1", server.server_address[1], "PROVIDER"), stored
    finally:
        server.shutdown()


def test_a_sop_class_that_nobody_accepts_is_said(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.dcm", ct_instance())

    with _provider(_MR, EXPLICIT_VR_LITTLE_ENDIAN) as (destination, _):
        outcome = send_files([file], destination)[0]

    assert outcome.reason == "SOP class not accepted"


def test_a_transfer_syntax_that_nobody_accepts_is_said(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.dcm", ct_instance())

    with _provider(CT_IMAGE_STORAGE, IMPLICIT_VR_LITTLE_ENDIAN) as (destination, _):
        outcome = send_files([file], destination)[0]

    assert outcome.reason == "transfer syntax not accepted"


def test_a_file_is_announced_as_its_data_set_names_it(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.dcm", ct_instance(sop_instance_uid="1.9.9"), "1.2.3")

    with _provider(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN) as (destination, stored):
        outcome = send_files([file], destination)[0]

    assert outcome.stored
    assert [request.AffectedSOPInstanceUID for request in stored] == ["1.9.9"]


def test_a_data_set_without_its_uids_is_not_sent(tmp_path: Path) -> None:
    dataset = ct_instance()
    dataset.SOPInstanceUID = ""
    file = _write(tmp_path / "a.dcm", dataset)

    outcome = send_files([file], Destination("127.0.0.1", 1))[0]

    assert outcome.reason == "the file names no SOP class or instance (required)"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of pynetdicom
def test_nobody_who_listens_is_said(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.dcm", ct_instance())

    outcome = send_files([file], Destination("127.0.0.1", 1))[0]

    assert outcome.reason == "cannot connect"
