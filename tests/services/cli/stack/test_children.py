from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.stack.children import FEWER_THREADS, MODULES, child_environ
from services.cli.stack.layout import Layout
from services.cli.stack.settings import DicomTlsSettings, StackSettings

_LAYOUT = Layout(Path("/data"), Path("/run/h"))
_SETTINGS = StackSettings(Path("/data"), dicom_port=4242, log_level="debug")
_DSN = "postgresql://heimdallr:secret@db/heimdallr"


@pytest.mark.parametrize("name", MODULES)
def test_every_process_is_told_where_it_listens_and_who_it_is(name: str) -> None:
    environ = child_environ(name, _LAYOUT, _SETTINGS, _DSN, 20000)

    assert environ["HEIMDALLR_SERVICE_NAME"] == name
    assert environ["HEIMDALLR_LISTEN"] == f"unix:/run/h/{name}.sock"
    assert environ["HEIMDALLR_MESH"] == "unix:/run/h/mesh.sock"
    assert environ["HEIMDALLR_TOKEN_FILE"] == f"/run/h/tokens/{name}.jwt"
    assert environ["HEIMDALLR_JWKS_FILE"] == "/run/h/jwks.json"
    assert environ["HEIMDALLR_BLOBS"] == "file:///data/blobs"
    assert environ["HEIMDALLR_LOG_LEVEL"] == "DEBUG"
    assert environ["GRPC_EXPERIMENTS"] == FEWER_THREADS


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"coordinator"}))
def test_the_database_and_the_signing_key_are_the_coordinators_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIMDALLR_DATABASE_DSN", _DSN)

    environ = child_environ(name, _LAYOUT, _SETTINGS, _DSN, 20000)

    assert not [value for value in environ.values() if "secret" in value]
    assert not [value for value in environ.values() if "issuer.pem" in value]


def test_the_coordinator_is_told_of_the_database_and_the_signing_key() -> None:
    environ = child_environ("coordinator", _LAYOUT, _SETTINGS, _DSN, 20000)

    assert environ["HEIMDALLR_DATABASE_DSN"] == _DSN
    assert environ["HEIMDALLR_COORDINATOR_ISSUER_KEY_FILE"] == "/data/keys/issuer.pem"


def test_the_gateway_is_told_of_its_dicom_port() -> None:
    environ = child_environ("gateway", _LAYOUT, _SETTINGS, _DSN, 20000)

    assert environ["HEIMDALLR_GATEWAY_DICOM_ADDRESS"] == "127.0.0.1:4242"
    assert environ["HEIMDALLR_GATEWAY_AE_TITLE"] == "HEIMDALLR"


def test_the_gateway_is_told_of_dicom_by_tls(tmp_path: Path) -> None:
    tls = DicomTlsSettings(2762, tmp_path / "a.crt", tmp_path / "a.key", tmp_path / "ca.pem")
    settings = replace(_SETTINGS, dicom_tls=tls)

    values = child_environ("gateway", _LAYOUT, settings, _DSN, 20000)
    plain = child_environ("gateway", _LAYOUT, _SETTINGS, _DSN, 20000)

    assert values["HEIMDALLR_DICOM_TLS_ADDRESS"].endswith(":2762")
    assert values["HEIMDALLR_DICOM_TLS_CERTIFICATE"] == str(tmp_path / "a.crt")
    assert values["HEIMDALLR_DICOM_TLS_CLIENT_CERTIFICATE"] == "required"
    assert "HEIMDALLR_DICOM_TLS_ADDRESS" not in plain


def test_a_setting_in_the_shell_reaches_the_processes_but_never_replaces_the_stacks_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEIMDALLR_COORDINATOR_QUIET_S", "2")
    monkeypatch.setenv("HEIMDALLR_MESH", "elsewhere:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

    environ = child_environ("coordinator", _LAYOUT, _SETTINGS, _DSN, 20000)

    assert environ["HEIMDALLR_COORDINATOR_QUIET_S"] == "2"
    assert environ["HEIMDALLR_MESH"] == "unix:/run/h/mesh.sock"
    assert "AWS_SECRET_ACCESS_KEY" not in environ
