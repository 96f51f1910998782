from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.cli.stack.errors import AlreadyRunningError, FolderError
from services.cli.stack.layout import Layout
from services.cli.stack.runtime_folder import (
    choose_runtime_folder,
    lock_data_folder,
    prepare_private_folder,
)
from services.cli.stack.settings import default_data_folder


def test_sockets_of_an_ordinary_user_lie_in_the_session_folder(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}

    folder = choose_runtime_folder(Path("/data"), environ, uid=1000)

    assert folder.parent == tmp_path
    assert folder.name.startswith("heimdallr-")


def test_a_session_folder_with_a_long_path_is_not_used(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()

    folder = choose_runtime_folder(Path("/data"), {"XDG_RUNTIME_DIR": str(deep)}, uid=1000)

    assert folder.parent == Path("/tmp")
    assert len(str(folder / "gateway-http.sock")) < 107


def test_two_data_folders_have_two_runtime_folders() -> None:
    first = choose_runtime_folder(Path("/data/a"), {}, uid=1000)

    second = choose_runtime_folder(Path("/data/b"), {}, uid=1000)

    assert first != second


def test_a_private_folder_can_be_entered_by_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)

    prepare_private_folder(folder)

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path)

    with pytest.raises(FolderError, match="not a folder"):
        prepare_private_folder(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 65534, 65534)

    with pytest.raises(FolderError, match="another user"):
        prepare_private_folder(folder)


def test_a_data_folder_has_one_supervisor_at_a_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path)
    held = lock_data_folder(layout)

    with pytest.raises(AlreadyRunningError, match="already runs"):
        lock_data_folder(layout)

    os.close(held)
    os.close(lock_data_folder(layout))


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {"HOME": "/root"}, "/var/lib/heimdallr"),
        (1000, {"HOME": "/home/ann"}, "/home/ann/.local/share/heimdallr"),
        (1000, {"HOME": "/home/ann", "XDG_DATA_HOME": "/big"}, "/big/heimdallr"),
    ],
)
def test_the_default_data_folder_follows_the_user(
    uid: int, environ: dict[str, str], expected: str
) -> None:
    folder = default_data_folder(environ, uid)

    assert folder == Path(expected)
