"""DICOM by TLS as `heimdallr up` serves it, with DCMTK's certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.stack.ports import free_ports
from tests.support.certificates import Authority
from tests.support.dcmtk import echoscu, require_dcmtk, storescu
from tests.support.instances import ct_instance, part10
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk, pytest.mark.soak]


def test_up_serves_dicom_by_tls_to_peers_with_a_certificate(tmp_path: Path) -> None:
    require_dcmtk()
    authority = Authority(tmp_path)
    server, client = authority.issue("server"), authority.issue("client")
    [port] = free_ports(1)
    arguments = {
        "--dicom-tls-port": port,
        "--dicom-tls-certificate": server.certificate,
        "--dicom-tls-key": server.key,
        "--dicom-tls-client-ca": authority.file,
    }
    path = tmp_path / "ct.dcm"
    path.write_bytes(part10(ct_instance()))
    trust = ("+cf", str(authority.file))
    shown = ("+tls", str(client.key), str(client.certificate), *trust)

    with RunningStack(arguments=tuple(str(p) for pair in arguments.items() for p in pair)) as stack:
        stored = storescu(port, [path], *shown)
        nameless = echoscu(port, "+tla", *trust)
        plain = echoscu(stack.dicom_port)

    assert stored.returncode == 0, stored.stderr
    assert nameless.returncode != 0
    assert plain.returncode == 0
