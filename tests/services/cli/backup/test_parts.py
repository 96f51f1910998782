"""Parts of a backup: sealed keys, manifests, passwords that stay out of sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.backup.copying import copy_blobs, verify_blobs
from services.cli.backup.database import without_password
from services.cli.backup.keys import open_keys, seal_keys
from services.cli.backup.restore import require_empty
from services.cli.backup.snapshot import (
    BLOBS,
    DATABASE,
    BackupError,
    BackupFolder,
    FileHash,
    Manifest,
)
from services.deid.key_ring import KeyRing
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import DeidKeyUnavailableError
from services.runtime.local_blobs import LocalBlobs


def manifest(folder: BackupFolder, name: str) -> Manifest:
    target = folder.folder(name)
    (target / DATABASE).write_bytes(b"rows")
    (target / BLOBS).write_text(f"{'a' * 64} 3 application/dicom\n")
    database, blobs = FileHash.of(target / DATABASE), FileHash.of(target / BLOBS)
    return Manifest(name, "1", database, blobs, None, 1, 2, 1, 3)


def test_sealed_keys_open_with_their_passphrase_alone(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "issuer.pem").write_text("a key")
    (keys / "sign-in").write_text("a code")
    seal_keys(keys, tmp_path / "sealed", "right")

    open_keys(tmp_path / "sealed", tmp_path / "opened", "right")
    with pytest.raises(BackupError, match="do not open"):
        open_keys(tmp_path / "sealed", tmp_path / "other", "wrong")

    assert [path.name for path in (tmp_path / "opened").iterdir()] == ["issuer.pem"]
    assert (tmp_path / "opened" / "issuer.pem").read_text() == "a key"
    assert (tmp_path / "opened" / "issuer.pem").stat().st_mode & 0o077 == 0
    assert "a key" not in (tmp_path / "sealed").read_text()
    assert not (tmp_path / "other").exists()


def test_keys_of_deidentification_projects_are_sealed_and_opened_where_they_lay(
    tmp_path: Path,
) -> None:
    keys, project = tmp_path / "keys", "01a1fe65-4036-7068-815a-f87418a51896"
    ring = KeyRing(keys / "deid")
    made = ring.key_or_new(project)
    (keys / "mesh/gateway").mkdir(parents=True)
    (keys / "mesh/gateway/tls.key").write_text("made again at any start")
    seal_keys(keys, tmp_path / "sealed", "right")

    open_keys(tmp_path / "sealed", tmp_path / "opened", "right")

    assert KeyRing(tmp_path / "opened/deid").key(project).key_id == made.key_id
    assert (tmp_path / "opened/deid" / f"{project}.json").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "opened/mesh").exists()
    (tmp_path / "opened/deid" / f"{project}.json").unlink()
    with pytest.raises(DeidKeyUnavailableError):
        KeyRing(tmp_path / "opened/deid").key_or_new(project)


def test_a_snapshot_is_there_once_its_manifest_is(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path / "backups")
    name = folder.begin()
    made = manifest(folder, name)
    with pytest.raises(BackupError, match="no finished snapshot"):
        folder.manifest()

    folder.finish(made)
    folder.begin()

    assert folder.snapshots() == [name]
    assert folder.manifest() == made
    assert list(folder.refs(made)) == [BlobRef("a" * 64, 3, "application/dicom")]
    assert (tmp_path / "backups").stat().st_mode & 0o077 == 0


def test_a_file_that_changed_is_told(tmp_path: Path) -> None:
    folder = BackupFolder(tmp_path)
    made = manifest(folder, folder.begin())
    folder.check(made)

    (folder.folder(made.snapshot) / DATABASE).write_bytes(b"Rows")

    with pytest.raises(BackupError, match="not what the manifest says"):
        folder.check(made)


@pytest.mark.parametrize(
    ("dsn", "bare", "password"),
    [
        ("postgresql://u@/d?host=/run/pg", "postgresql://u@/d?host=/run/pg", ""),
        ("postgresql://u:p%40ss@db:5432/d", "postgresql://u@db:5432/d", "p@ss"),
    ],
)
def test_a_password_is_no_argument_of_a_program(dsn: str, bare: str, password: str) -> None:
    assert without_password(dsn) == (bare, password)


def test_only_an_empty_folder_or_none_takes_a_backup(tmp_path: Path) -> None:
    require_empty(tmp_path / "absent")
    require_empty(tmp_path)
    (tmp_path / "file").touch()

    with pytest.raises(BackupError, match="is not empty"):
        require_empty(tmp_path)


async def test_blobs_are_copied_once_and_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    source = LocalBlobs(tmp_path / "source", free_bytes=0)
    target = LocalBlobs(tmp_path / "target", free_bytes=0)
    refs = [await source.put_bytes(b"%d" % number, "application/dicom") for number in range(9)]
    broken, missing = source.local_path(refs[3]), source.local_path(refs[5])
    assert broken is not None
    assert missing is not None
    broken.write_bytes(b"!")
    missing.unlink()
    copied: list[bool] = []

    damaged = await copy_blobs(source, target, refs, lambda _, new: copied.append(new))
    again = await copy_blobs(source, target, refs, lambda _, new: copied.append(new))
    checked = await verify_blobs(target, refs, lambda _, __: None)

    assert damaged == again == sorted([refs[3].sha256, refs[5].sha256])
    assert copied == [True] * 7 + [False] * 7
    assert sorted(checked) == damaged
