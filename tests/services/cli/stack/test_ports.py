from __future__ import annotations

import socket

import pytest

from services.cli.stack.errors import PortTakenError
from services.cli.stack.ports import require_free


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("::1", "::1 is not an IPv4 address: choose another with --http-address"),
        ("192.0.2.1", "192.0.2.1 is no address of this machine: choose another with --http-addre"),
    ],
)
def test_an_address_that_is_not_ours_names_the_option_of_the_address(
    address: str, sentence: str
) -> None:
    with pytest.raises(PortTakenError, match=sentence):
        require_free(address, 20_000, "--http-port")


def test_a_taken_port_names_the_option_of_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(PortTakenError, match=r"taken by another program.*--dicom-port"):
            require_free("127.0.0.1", port, "--dicom-port")


def test_a_port_that_is_not_permitted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("services.cli.stack.ports._bind", refuse)

    with pytest.raises(PortTakenError, match=r"port 80 of 127.0.0.1 is not permitted"):
        require_free("127.0.0.1", 80, "--http-port")
