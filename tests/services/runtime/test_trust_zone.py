"""An address that nobody declared is outside."""

from __future__ import annotations

import pytest

from services.runtime.trust_zone import TrustZones, Zone

ZONES = TrustZones(["models.hospital.example", "10.20.0.0/16", "192.0.2.7", "fd00::/8"])


@pytest.mark.parametrize(
    "host",
    [
        *("models.hospital.example", "MODELS.hospital.example.", "10.20.3.4", "192.0.2.7"),
        *("[fd00::1]", "::ffff:10.20.3.4"),
    ],
)
def test_what_was_declared_is_inside(host: str) -> None:
    assert ZONES.of_host(host) is Zone.INSIDE


@pytest.mark.parametrize(
    "host",
    [
        *("", "localhost", "127.0.0.1", "10.21.0.1", "192.0.2.8", "api.example.org", "169462532"),
        *("hospital.example", "x.models.hospital.example", "models.hospital.example.evil.org"),
    ],
)
def test_whatever_was_not_is_outside(host: str) -> None:
    assert ZONES.of_host(host) is Zone.OUTSIDE


@pytest.mark.parametrize(
    ("url", "zone"),
    [
        ("https://models.hospital.example:8000/v1", Zone.INSIDE),
        ("unix:/run/heimdallr/m.sock", Zone.INSIDE),
        ("https://models.hospital.example@api.example.org/v1", Zone.OUTSIDE),
        ("https://api.example.org/models.hospital.example", Zone.OUTSIDE),
        ("http://[", Zone.OUTSIDE),
        ("models.hospital.example", Zone.OUTSIDE),
    ],
)
def test_a_url_lies_where_its_host_does(url: str, zone: Zone) -> None:
    assert ZONES.of_url(url) is zone


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="/99"):
        TrustZones(["10.0.0.0/99"])
