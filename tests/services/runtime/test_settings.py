"""Settings come from the environment and complaints name the variable, not its value."""

from __future__ import annotations

import pytest

from services.runtime.settings import (
    RuntimeSettings,
    SettingsError,
    load_settings,
    read_settings,
)

VALID = {
    "HEIMDALLR_SERVICE_NAME": "conversion",
    "HEIMDALLR_LISTEN": "unix:/run/h/conversion.sock",
    "HEIMDALLR_MESH": "127.0.0.1:9000",
    "HEIMDALLR_TOKEN_FILE": "/run/h/token",
    "HEIMDALLR_JWKS_FILE": "/run/h/jwks.json",
    "HEIMDALLR_BLOBS": "file:///var/lib/h/blobs",
}


@pytest.fixture(autouse=True)
def valid_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALID.items():
        monkeypatch.setenv(name, value)


def test_a_complete_environment_is_read() -> None:
    settings = read_settings(RuntimeSettings)

    assert settings.service_name == "conversion"
    assert settings.listen == "unix:/run/h/conversion.sock"
    assert settings.log_level == "INFO"


@pytest.mark.parametrize("name", sorted(VALID))
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(SettingsError, match=f"^{name}: "):
        read_settings(RuntimeSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEIMDALLR_SERVICE_NAME", "Nöt a name"),
        ("HEIMDALLR_SERVICE_NAME", ""),
        ("HEIMDALLR_LISTEN", ""),
        ("HEIMDALLR_LISTEN", "somewhere"),
        ("HEIMDALLR_LISTEN", "unix:relative.sock"),
        ("HEIMDALLR_LISTEN", "unix:/" + "x" * 107),
        ("HEIMDALLR_LISTEN", ":80"),
        ("HEIMDALLR_MESH", "host:99999"),
        ("HEIMDALLR_BLOBS", ""),
        ("HEIMDALLR_LOG_LEVEL", "LOUD"),
        ("HEIMDALLR_UNARY_DEADLINE_S", "0"),
        ("HEIMDALLR_GRACE_S", "soon"),
        ("HEIMDALLR_MAX_CONCURRENT_CALLS", "0"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        read_settings(RuntimeSettings)

    assert len(value) < 5 or value not in str(caught.value)


def test_a_program_leaves_with_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HEIMDALLR_LISTEN")

    with pytest.raises(SystemExit) as caught:
        load_settings(RuntimeSettings)

    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("HEIMDALLR_LISTEN: ")
