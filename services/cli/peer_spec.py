"""What options of `heimdallr peers` say of a peer, as messages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from heimdallr.peers.v1 import peers_service_pb2 as pb

_ZONES: Final = {"inside": pb.TRUST_ZONE_INSIDE, "outside": pb.TRUST_ZONE_OUTSIDE}
_STDIN: Final = Path("-")


@dataclass(frozen=True)
class Changes:
    """Options as they were given; None for what was not."""

    name: str | None = None
    zone: str | None = None
    dimse: str | None = None
    web: str | None = None
    calling: str | None = None
    tls: bool | None = None
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    transfer_syntaxes: list[str] | None = None
    user: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    forget_credentials: bool = False
    move_destination: bool | None = None
    deid_project: str | None = None
    description: str | None = None


def changed_spec(before: pb.PeerSpec, changes: Changes) -> pb.PeerSpec:
    """Return what is registered with the changes made.

    Raises:
        typer.BadParameter: An option does not have its form, or changes what is not there.
        OSError: A file cannot be read.
    """
    spec = pb.PeerSpec()
    spec.CopyFrom(before)
    if changes.name is not None:
        spec.name = changes.name
    if changes.zone is not None:
        spec.trust_zone = _zone(changes.zone)
    if changes.move_destination is not None:
        spec.move_destination = changes.move_destination
    if changes.description is not None:
        spec.description = changes.description
    _change_dimse(spec, changes)
    _change_web(spec, changes)
    return spec


def changed_credentials(changes: Changes) -> pb.PeerCredentials | None:
    """Return what we show from now on; None when nothing was said of it.

    Raises:
        OSError: A file cannot be read.
    """
    files = changes.password_file, changes.token_file, changes.tls_certificate, changes.tls_key
    if changes.forget_credentials:
        return pb.PeerCredentials()
    if changes.user is None and not any(files):
        return None
    return pb.PeerCredentials(
        user_name=changes.user or "",
        password=_secret(changes.password_file),
        bearer_token=_secret(changes.token_file),
        tls_certificate_pem=_text(changes.tls_certificate),
        tls_key_pem=_text(changes.tls_key),
    )


def zone_name(spec: pb.PeerSpec) -> str:
    """Return "inside" or "outside"."""
    return "inside" if spec.trust_zone == pb.TRUST_ZONE_INSIDE else "outside"


def dimse_text(spec: pb.PeerSpec) -> str:
    """Return where a peer speaks DIMSE in the form of the option; "" when it does not."""
    if not spec.HasField("dimse"):
        return ""
    there = spec.dimse
    return f"{there.ae_title}@{there.host}:{there.port}" + (" TLS" if there.tls else "")


def _change_dimse(spec: pb.PeerSpec, changes: Changes) -> None:
    if changes.dimse == "":
        spec.ClearField("dimse")
    elif changes.dimse is not None:
        _set_address(spec.dimse, changes.dimse)
    details = (changes.calling, changes.tls, changes.transfer_syntaxes)
    if not spec.HasField("dimse"):
        if any(detail is not None for detail in details):
            raise typer.BadParameter("only with an address for DIMSE", param_hint="--dimse")
        return
    if changes.calling is not None:
        spec.dimse.calling_ae_title = changes.calling
    if changes.tls is not None:
        spec.dimse.tls = changes.tls
    if changes.tls_ca is not None:
        spec.dimse.tls_ca_pem = _text(changes.tls_ca)
    if changes.transfer_syntaxes is not None:
        del spec.dimse.transfer_syntax_uids[:]
        spec.dimse.transfer_syntax_uids.extend(filter(None, changes.transfer_syntaxes))


def _change_web(spec: pb.PeerSpec, changes: Changes) -> None:
    if changes.web == "":
        spec.ClearField("dicomweb")
    elif changes.web is not None:
        spec.dicomweb.url = changes.web
    if changes.tls_ca is not None and spec.HasField("dicomweb"):
        spec.dicomweb.tls_ca_pem = _text(changes.tls_ca)


def _set_address(address: pb.DimseAddress, text: str) -> None:
    ae_title, at, place = text.rpartition("@")
    host, colon, port = place.rpartition(":")
    if not at or not colon or not port.isdecimal() or len(port) > 5:
        raise typer.BadParameter(f"{text}: not AE@host:port", param_hint="--dimse")
    address.ae_title, address.port = ae_title, int(port)
    address.host = host.removeprefix("[").removesuffix("]")


def _zone(text: str) -> pb.TrustZone.ValueType:
    if text not in _ZONES:
        raise typer.BadParameter(f"{text}: neither inside nor outside", param_hint="--zone")
    return _ZONES[text]


def _secret(path: Path | None) -> str:
    return _text(path).rstrip("\r\n")


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    if path == _STDIN:
        return sys.stdin.read()
    return path.read_text(encoding="utf-8")
