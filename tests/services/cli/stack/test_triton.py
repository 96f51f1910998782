from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from services.cli.stack.triton import (
    SHARED_MEMORY,
    TritonMissingError,
    model_repository,
    sweep_shared_memory,
    triton_command,
    triton_env,
)


def _environment(folder: Path) -> Path:
    server = folder / "lib/python3.11/site-packages/pytriton/tritonserver"
    for name in (
        "bin/tritonserver",
        "backends/python/libtriton_python.so",
        "backends/python/triton_python_backend_utils.py",
        "python_backend_stubs/3.11/triton_python_backend_stub",
    ):
        (server / name).parent.mkdir(parents=True, exist_ok=True)
        (server / name).touch()
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to("/opt/python/bin/python3.11")
    return folder


def test_triton_listens_on_loopback_alone(tmp_path: Path) -> None:
    env = _environment(tmp_path / "env")

    command = triton_command(env, tmp_path / "m", tmp_path / "w", 1, 2, 3, "prefix_")

    addresses = [word for word in command.argv if "-address=" in word]
    assert len(addresses) == 3
    assert all(word.endswith("=127.0.0.1") for word in addresses)
    assert "--model-control-mode=explicit" in command.argv


def test_the_stub_finds_the_environments_python_and_its_libraries(tmp_path: Path) -> None:
    env = _environment(tmp_path / "env")

    command = triton_command(env, tmp_path / "m", tmp_path / "w", 1, 2, 3, "prefix_")

    assert command.environ["PATH"].startswith(f"{env}/bin:")
    assert command.environ["LD_LIBRARY_PATH"] == "/opt/python/lib"
    assert len(list((tmp_path / "w/backends/python").iterdir())) == 3


def test_an_environment_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TritonMissingError, match="no tritonserver in"):
        triton_command(tmp_path, tmp_path, tmp_path / "w", 1, 2, 3, "prefix_")


def test_a_sweep_removes_the_regions_with_its_prefix_alone() -> None:
    prefix = f"heimdallr_{uuid.uuid4().hex}_"
    mine, other = SHARED_MEMORY / f"{prefix}a", SHARED_MEMORY / f"x{prefix}a"
    mine.touch()
    other.touch()

    removed = sweep_shared_memory(prefix)

    assert removed == 1
    assert not mine.exists()
    assert other.exists()
    other.unlink()


def test_a_sweep_with_a_short_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        sweep_shared_memory("")


def test_environment_and_models_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIMDALLR_TRITON_ENV", "/env")
    monkeypatch.setenv("HEIMDALLR_MODEL_REPOSITORY", "/models")

    found = triton_env(), model_repository()

    assert found == (Path("/env"), Path("/models"))
