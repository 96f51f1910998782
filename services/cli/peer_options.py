"""Options with which a peer is described on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NameArgument = Annotated[str, typer.Argument(help="Name of the peer.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone",
        help='"inside" (identified data may go there) or "outside" (nothing identified does).',
    ),
]
DimseOption = Annotated[
    str | None, typer.Option("--dimse", help='Where it speaks DIMSE: AE@host:port, or "" for no.')
]
WebOption = Annotated[
    str | None,
    typer.Option("--web", help='Base URL where it speaks DICOMweb, or "" for not at all.'),
]
CallingOption = Annotated[
    str | None, typer.Option("--calling", help="AE title that we call ourselves towards it.")
]
TlsOption = Annotated[bool | None, typer.Option("--tls/--no-tls", help="Speak TLS for DIMSE.")]
CaOption = Annotated[
    Path | None, typer.Option("--tls-ca", help="PEM file its certificate must descend from.")
]
CertificateOption = Annotated[
    Path | None, typer.Option("--tls-certificate", help="PEM file of our certificate for it.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--tls-key", help="PEM file of that certificate's private key.")
]
SyntaxOption = Annotated[
    list[str] | None,
    typer.Option("--transfer-syntax", help="UID of one it takes, best first; repeat for more."),
]
UserOption = Annotated[str | None, typer.Option("--user", help="User name that we show it.")]
PasswordOption = Annotated[
    Path | None, typer.Option("--password-file", help='File with the password; "-" for stdin.')
]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", help='File with a bearer token; "-" for stdin.')
]
DestinationOption = Annotated[
    bool | None,
    typer.Option(
        "--move-destination/--no-move-destination", help="C-MOVE of others may send to it."
    ),
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--deid-project",
        help="Name or id of the de-identification project whose released copies go to a peer "
        'outside; "" for nothing.',
    ),
]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="Notes for people.")]
