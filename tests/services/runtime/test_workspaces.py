"""Temporary folders are removed, by the next start if not by this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.workspaces import Workspaces


def folders(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_dir()]


def fail_in(path: Path) -> None:
    (path / "sub").mkdir()
    (path / "sub" / "file").write_bytes(b"x")
    raise ValueError("something went wrong")


def test_a_folder_is_private_and_goes_even_after_an_error(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)

    with workspaces.folder() as path:
        assert path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match="went wrong"), workspaces.folder() as path:
        fail_in(path)

    assert len(folders(tmp_path)) == 1
    workspaces.close()
    assert folders(tmp_path) == []


def test_a_start_sweeps_what_the_dead_left_and_spares_the_living(tmp_path: Path) -> None:
    dead = tmp_path / "dead" / "call"
    dead.mkdir(parents=True)
    (dead / "000001.dcm").write_bytes(b"x")
    living = Workspaces(tmp_path)

    with living.folder() as path:
        Workspaces(tmp_path).close()

        assert path.is_dir()
    assert not dead.exists()
    living.close()
