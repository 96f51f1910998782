"""``heimdallr site``: a gateway in another place, handing its instances to a stack over mTLS."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, file_errors, print_json
from services.cli.stack import StackError, default_data_folder
from services.cli.stack.children import MODULES, import_path
from services.cli.stack.layout import Layout
from services.cli.stack.mesh_ca import MeshCa
from services.cli.stack.private_file import write_private
from services.runtime.mesh_address import MtlsAddress
from services.runtime.permissions import SERVICE_PERMISSIONS
from services.runtime.tokens import CallerKind, Issuer

site = typer.Typer(
    name="site", no_args_is_help=True, help="Gateways in other places than the stack."
)

_ROLE: Final = "gateway"
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,23}")
FolderArgument = Annotated[Path, typer.Argument(help="Folder of the site's identity.")]


@site.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the site: a-z, 0-9, '-'.")],
    folder: FolderArgument,
    data: DataOption,
    mesh: Annotated[str, typer.Option(help="HOST:PORT under which the site reaches the mesh.")],
    days: Annotated[int, typer.Option(min=1, max=825, help="How long its token lives.")] = 365,
    as_json: JsonOption = False,
) -> None:
    """Make the identity of a site: certificate, token and keys, to be carried there in secret.

    Run it where the stack's data folder lies; the stack runs with --mtls. Again on the same folder
    it makes a fresh token. Exit codes: 0 made, 1 failed, 2 wrong usage.
    """
    host, _, port = mesh.rpartition(":")
    if not host or not port.isdecimal():
        raise typer.BadParameter("HOST:PORT", param_hint="--mesh")
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("1 to 24 of a-z, 0-9, '-'", param_hint="NAME")
    keys = Layout((data or default_data_folder()).expanduser().absolute(), folder)
    with file_errors(folder):
        _make(name, keys, folder.expanduser().absolute(), mesh, timedelta(days=days))
    if as_json:
        print_json({"site": name, "folder": str(folder), "mesh": mesh, "days": days})
    else:
        typer.echo(f"Carry {folder} to the site, in secret, and run `heimdallr site run` there.")


@site.command("run")
def run(
    folder: FolderArgument,
    data: Annotated[Path, typer.Option(help="Folder for its spool, journal and quarantine.")],
    dicom_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of DICOM.")] = 11112,
    dicom_address: Annotated[str, typer.Option(help="Address of DICOM.")] = "127.0.0.1",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run the gateway of a site in the foreground until Ctrl-C.

    Instances are kept here until the stack has them; while it is away, the journal takes them.
    """
    with file_errors(folder):
        about = json.loads((folder / "site.json").read_text())
        target = data.expanduser().absolute()
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    environ = _environ(folder.expanduser().absolute(), target, about["mesh"])
    environ |= {
        "HEIMDALLR_GATEWAY_DICOM_ADDRESS": f"{dicom_address}:{dicom_port}",
        "HEIMDALLR_LOG_LEVEL": log_level.upper(),
    }
    arguments = [sys.executable, "-P", "-m", MODULES[_ROLE]]
    os.execve(sys.executable, arguments, {**os.environ, **environ})  # noqa: S606 -- our own program


def _make(name: str, keys: Layout, folder: Path, mesh: str, lifetime: timedelta) -> None:
    if not keys.issuer_key.is_file():
        typer.secho(f"no stack has run on {keys.data}", err=True, fg="red")
        raise typer.Exit(EXIT_FAILED)
    try:
        MeshCa(keys.data / "keys").provide(f"{_ROLE}-{name}", folder)
    except StackError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(EXIT_FAILED) from None
    issuer = Issuer.load_or_create(keys.issuer_key)
    token = issuer.mint(
        subject=f"{_ROLE}-{name}",
        kind=CallerKind.SERVICE,
        permissions=SERVICE_PERMISSIONS[_ROLE],
        lifetime=lifetime,
    )
    write_private(folder / "token.jwt", token)
    write_private(folder / "jwks.json", issuer.jwks())
    write_private(folder / "site.json", json.dumps({"site": name, "mesh": mesh}))


def _environ(folder: Path, data: Path, mesh: str) -> dict[str, str]:
    host, _, port = mesh.rpartition(":")
    address = str(MtlsAddress(folder, host, int(port)))
    return {
        "PYTHONPATH": import_path(),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        "HEIMDALLR_SERVICE_NAME": _ROLE,
        "HEIMDALLR_LISTEN": f"unix:{data}/gateway.sock",
        "HEIMDALLR_MESH": address,
        "HEIMDALLR_TOKEN_FILE": str(folder / "token.jwt"),
        "HEIMDALLR_JWKS_FILE": str(folder / "jwks.json"),
        "HEIMDALLR_BLOBS": (data / "blobs").as_uri(),
        "HEIMDALLR_GATEWAY_SPOOL": str(data / "spool"),
        "HEIMDALLR_GATEWAY_JOURNAL_FOLDER": str(data / "journal"),
        "HEIMDALLR_GATEWAY_INTAKE_ADDRESS": address,
        "HEIMDALLR_GATEWAY_CONTENT": "chunks",
    }
