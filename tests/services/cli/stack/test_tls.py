from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from services.cli.stack import StackSettings, TlsSettings
from services.cli.stack.errors import TlsError
from services.cli.stack.layout import Layout
from services.cli.stack.tls import prepare_tls


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data", tmp_path / "run")


@pytest.fixture
def settings(layout: Layout) -> StackSettings:
    return StackSettings(layout.data, tls=TlsSettings())


def test_without_tls_nothing_is_made(layout: Layout) -> None:
    assert prepare_tls(layout, StackSettings(layout.data)) is None
    assert not layout.tls_key.exists()


def test_a_certificate_is_made_once(layout: Layout, settings: StackSettings) -> None:
    first, second = (prepare_tls(layout, settings) for _ in range(2))

    assert first is not None
    assert first == second
    assert len(first) == 32 * 3 - 1
    assert stat.S_IMODE(layout.tls_key.stat().st_mode) == 0o600


def test_the_certificate_names_the_ways_to_the_listener(
    layout: Layout, settings: StackSettings
) -> None:
    prepare_tls(layout, replace(settings, http_address="192.0.2.7"))

    found = x509.load_pem_x509_certificate(layout.tls_certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    addresses = {str(one) for one in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "192.0.2.7"}


def test_another_address_gets_another_certificate(layout: Layout, settings: StackSettings) -> None:
    first = prepare_tls(layout, settings)

    second = prepare_tls(layout, replace(settings, http_address="192.0.2.7"))

    assert first != second


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_broken_certificate_of_ours_is_made_anew(
    layout: Layout, settings: StackSettings, content: str
) -> None:
    prepare_tls(layout, settings)
    layout.tls_certificate.write_text(content)

    assert prepare_tls(layout, settings) is not None


def test_a_given_certificate_is_taken_as_it_is(layout: Layout, settings: StackSettings) -> None:
    fingerprint = prepare_tls(layout, settings)
    other = Layout(layout.data / "other", layout.run)
    given = TlsSettings(layout.tls_certificate, layout.tls_key)

    assert prepare_tls(other, StackSettings(other.data, tls=given)) == fingerprint
    assert not other.tls_certificate.exists()


def test_a_key_of_another_certificate_is_refused(layout: Layout, settings: StackSettings) -> None:
    prepare_tls(layout, settings)
    other = Layout(layout.data / "other", layout.run)
    prepare_tls(other, settings)
    mixed = TlsSettings(layout.tls_certificate, other.tls_key)

    with pytest.raises(TlsError, match="is not the key"):
        prepare_tls(layout, StackSettings(layout.data, tls=mixed))


def test_a_given_file_that_is_absent_is_named(layout: Layout, tmp_path: Path) -> None:
    absent = TlsSettings(tmp_path / "absent.crt", tmp_path / "absent.key")

    with pytest.raises(TlsError, match=r"absent\.crt"):
        prepare_tls(layout, StackSettings(layout.data, tls=absent))
