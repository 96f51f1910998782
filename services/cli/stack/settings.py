"""What the person who starts the stack decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TlsSettings:
    """With which certificate the public listener speaks TLS.

    Attributes:
        certificate: PEM file of the certificate and what it is signed by; None for one of our own.
        key: PEM file of its private key.
    """

    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class MtlsSettings:
    """Processes reach each other over TCP, each side with a certificate of the mesh's own CA.

    Attributes:
        address: Address on which the mesh listens; others than loopback for gateways elsewhere.
        port: Its port.
    """

    address: str = "127.0.0.1"
    port: int = 8443


@dataclass(frozen=True)
class DicomTlsSettings:
    """DICOM associations by TLS, on a port of their own.

    Attributes:
        port: The port, on the address of plain DICOM.
        certificate: PEM file of our certificate and what it is signed by.
        key: PEM file of its private key.
        client_ca: PEM file of the authorities of peers' certificates, which are required then.
    """

    port: int
    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class StackSettings:
    """Choices for one stack.

    Attributes:
        data: Folder of everything that must survive: blobs, database, keys, journal, logs.
        http_address: Address on which Envoy takes calls from people and programs.
        http_port: Its port.
        dicom_address: Address on which the gateway takes DICOM associations.
        dicom_port: Its port.
        database: DSN of a PostgreSQL server; the embedded one is not started then.
        log_level: Level of every process of ours: debug, info, warning or error.
        without: Names of processes that are left out.
        metrics_port: Port on the loopback address where Prometheus finds every process; none if
            absent.
        ohif_port: Port of the viewer's listener; OHIF is not served if absent.
        dicom_tls: How DICOM is spoken by TLS as well; it is not when ``None``.
        tls: How the public listener speaks TLS; it does not when ``None``.
        blobs: URL of an object store for blobs; a folder in the data folder when ``None``.
        mtls: How processes reach each other by mutual TLS; by Unix sockets when ``None``.
    """

    data: Path
    http_address: str = "127.0.0.1"
    http_port: int = 8080
    dicom_address: str = "127.0.0.1"
    dicom_port: int = 11112
    database: str | None = None
    log_level: str = "info"
    without: frozenset[str] = frozenset()
    metrics_port: int | None = None
    ohif_port: int | None = None
    tls: TlsSettings | None = None
    dicom_tls: DicomTlsSettings | None = None
    mtls: MtlsSettings | None = None
    blobs: str | None = None


def default_data_folder(environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Return where data lies unless told otherwise: /var/lib for root, else the user's own."""
    if (os.geteuid() if uid is None else uid) == 0:
        return Path("/var/lib/heimdallr")
    home = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "/")) / ".local/share")
    return Path(home) / "heimdallr"
