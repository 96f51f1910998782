"""Options of ``heimdallr up``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.stack import default_data_folder

DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of everything that must survive.", show_default=str(default_data_folder())
    ),
]
HttpPortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port of web and gRPC.")]
HttpAddressOption = Annotated[str, typer.Option(help="Address of web and gRPC.")]
DicomPortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port of DICOM.")]
DicomAddressOption = Annotated[str, typer.Option(help="Address of DICOM.")]
DicomTlsPortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port of DICOM by TLS; usually 2762.")
]
DicomTlsCertificateOption = Annotated[
    Path | None, typer.Option(help="Certificate for it (PEM, with its chain).")
]
DicomTlsKeyOption = Annotated[Path | None, typer.Option(help="Its private key (PEM).")]
DicomTlsClientCaOption = Annotated[
    Path | None, typer.Option(help="Peers must show a certificate of these authorities (PEM).")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        envvar="HEIMDALLR_DATABASE_DSN",
        help="DSN of a PostgreSQL server, instead of the embedded one.",
        show_envvar=True,
    ),
]
BlobsOption = Annotated[
    str | None,
    typer.Option(
        help="Object store for images, s3://, gs:// or az://, instead of a folder.",
        envvar="HEIMDALLR_BLOBS_URL",
    ),
]
TlsOption = Annotated[
    bool, typer.Option("--tls", help="TLS for web and gRPC, by a certificate made here.")
]
TlsCertificateOption = Annotated[
    Path | None, typer.Option(help="TLS by this certificate (PEM, with its chain).")
]
TlsKeyOption = Annotated[Path | None, typer.Option(help="Its private key (PEM).")]
MtlsOption = Annotated[
    bool, typer.Option("--mtls", help="Processes speak TCP with certificates, not Unix sockets.")
]
MeshPortOption = Annotated[
    int, typer.Option(min=1, max=65535, help="With --mtls: port of the mesh.")
]
MeshAddressOption = Annotated[
    str, typer.Option(help="With --mtls: address of the mesh, for gateways elsewhere.")
]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port on 127.0.0.1 for Prometheus; none if absent."),
]
OhifPortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port of the viewer OHIF (`make ohif` fetches it)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON per event.")]
LogLevelOption = Annotated[str, typer.Option(help="debug, info, warning or error.")]
WithoutOption = Annotated[
    list[str] | None, typer.Option(help="Leave out a process; may be repeated.")
]
