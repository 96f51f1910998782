"""``heimdallr up``: run the whole stack of one machine in the foreground."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.connection import file_sentence
from services.cli.stack import (
    MtlsSettings,
    Stack,
    StackError,
    StackSettings,
    TlsSettings,
    default_data_folder,
)
from services.cli.stack.errors import AlreadyRunningError
from services.cli.stack.plan import NAMES
from services.cli.stack.settings import DicomTlsSettings
from services.cli.voice import JsonVoice, ScreenVoice, Voice

EXIT_REFUSED: Final = 1
EXIT_ALREADY_RUNNING: Final = 4

_SIGN_IN_POLL_S: Final = 0.5
_STORES: Final = ("s3://", "gs://", "az://")
_DSN_SCHEMES: Final = ("postgresql://", "postgres://")


def up(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of everything that must survive.", show_default=str(default_data_folder())
        ),
    ] = None,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of web and gRPC.")] = 8080,
    dicom_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of DICOM.")] = 11112,
    dicom_tls_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of DICOM by TLS; usually 2762."),
    ] = None,
    dicom_tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate for it (PEM, with its chain).")
    ] = None,
    dicom_tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    dicom_tls_client_ca: Annotated[
        Path | None,
        typer.Option(help="Peers must show a certificate of these authorities (PEM)."),
    ] = None,
    http_address: Annotated[str, typer.Option(help="Address of web and gRPC.")] = "127.0.0.1",
    dicom_address: Annotated[str, typer.Option(help="Address of DICOM.")] = "127.0.0.1",
    database: Annotated[
        str | None,
        typer.Option(
            envvar="HEIMDALLR_DATABASE_DSN",
            help="DSN of a PostgreSQL server, instead of the embedded one.",
            show_envvar=True,
        ),
    ] = None,
    blobs: Annotated[
        str | None,
        typer.Option(
            help="Object store for images, s3://, gs:// or az://, instead of a folder.",
            envvar="HEIMDALLR_BLOBS_URL",
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="TLS for web and gRPC, by a certificate made here.")
    ] = False,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="TLS by this certificate (PEM, with its chain).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    mtls: Annotated[
        bool,
        typer.Option("--mtls", help="Processes speak TCP with certificates, not Unix sockets."),
    ] = False,
    mesh_port: Annotated[
        int, typer.Option(min=1, max=65535, help="With --mtls: port of the mesh.")
    ] = 8443,
    mesh_address: Annotated[
        str, typer.Option(help="With --mtls: address of the mesh, for gateways elsewhere.")
    ] = "127.0.0.1",
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port on 127.0.0.1 for Prometheus; none if absent."),
    ] = None,
    ohif_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of the viewer OHIF (`make ohif` fetches it)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per event.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out a process; may be repeated.")
    ] = None,
) -> None:
    """Run the stack of this machine until Ctrl-C.

    Exit status: 0 after an orderly stop; 1 when it refuses to start; 2 when an option is wrong;
    4 when a stack already runs on the data folder.
    """
    if log_level not in {"debug", "info", "warning", "error"}:
        raise typer.BadParameter("debug, info, warning or error", param_hint="--log-level")
    if not NAMES.issuperset(without or ()):
        raise typer.BadParameter(f"one of {', '.join(sorted(NAMES))}", param_hint="--without")
    _require_different_ports(
        {
            "--http-port": (http_address, http_port),
            "--dicom-port": (dicom_address, dicom_port),
            "--dicom-tls-port": (dicom_address, dicom_tls_port),
            "--metrics-port": ("127.0.0.1", metrics_port),
            "--ohif-port": (http_address, ohif_port),
            "--mesh-port": (mesh_address, mesh_port if mtls else None),
        }
    )
    if database is not None and not database.startswith(_DSN_SCHEMES):
        # The DSN is not repeated: it may hold a password.
        raise typer.BadParameter("a DSN begins with postgresql://", param_hint="--database")
    if blobs is not None and not blobs.startswith(_STORES):
        raise typer.BadParameter(" or ".join(_STORES), param_hint="--blobs")
    settings = StackSettings(
        data=data or default_data_folder(),
        http_address=http_address,
        http_port=http_port,
        dicom_address=dicom_address,
        dicom_port=dicom_port,
        database=database,
        log_level=log_level,
        without=frozenset(without or ()),
        metrics_port=metrics_port,
        ohif_port=ohif_port,
        tls=_tls(tls, tls_certificate, tls_key),
        dicom_tls=_dicom_tls(
            dicom_tls_port, dicom_tls_certificate, dicom_tls_key, dicom_tls_client_ca
        ),
        mtls=MtlsSettings(mesh_address, mesh_port) if mtls else None,
        blobs=blobs,
    )
    voice = JsonVoice() if as_json else ScreenVoice()
    raise typer.Exit(asyncio.run(run(settings, voice)))


def _tls(own: bool, certificate: Path | None, key: Path | None) -> TlsSettings | None:
    if (certificate is None) != (key is None):
        raise typer.BadParameter("give both or none", param_hint="--tls-certificate, --tls-key")
    if certificate is None and not own:
        return None
    return TlsSettings(certificate, key)


def _dicom_tls(
    port: int | None, certificate: Path | None, key: Path | None, client_ca: Path | None
) -> DicomTlsSettings | None:
    files = {
        "--dicom-tls-certificate": certificate,
        "--dicom-tls-key": key,
        "--dicom-tls-client-ca": client_ca,
    }
    for option, path in files.items():
        if path is not None and not path.is_file():
            raise typer.BadParameter("no such file", param_hint=option)
    if port is not None and certificate is not None and key is not None:
        return DicomTlsSettings(port, certificate, key, client_ca)
    if port is None and not any(files.values()):
        return None
    raise typer.BadParameter(
        "port, certificate and key belong together",
        param_hint="--dicom-tls-port, --dicom-tls-certificate, --dicom-tls-key",
    )


def _require_different_ports(listeners: Mapping[str, tuple[str, int | None]]) -> None:
    taken = {option: place for option, place in listeners.items() if place[1] is not None}
    for (one, first), (other, second) in combinations(taken.items(), 2):
        addresses = {first[0], second[0]}
        shared = len(addresses) == 1 or "0.0.0.0" in addresses  # noqa: S104 -- compared only
        if shared and first[1] == second[1]:
            raise typer.BadParameter(f"the same as {one}", param_hint=other)


async def run(settings: StackSettings, voice: Voice) -> int:
    """Run a stack until a signal comes; return the exit status of the command."""
    began = time.monotonic()
    asked = _StopSignals()
    try:
        stack = Stack(settings, voice.changed)
        await stack.start()
    except AlreadyRunningError as error:
        voice.refused(str(error))
        return EXIT_ALREADY_RUNNING
    except StackError as error:
        voice.refused(str(error))
        return EXIT_REFUSED
    except OSError as error:
        voice.refused(file_sentence(error, settings.data))
        return EXIT_REFUSED
    asked.at_once = stack.kill
    news = [
        asyncio.create_task(_tell_when_ready(stack, voice, began)),
        asyncio.create_task(_tell_sign_in(stack, voice)),
    ]
    try:
        await asked.once.wait()
        voice.stopping()
    finally:
        for task in news:
            task.cancel()
        await asyncio.gather(*news, return_exceptions=True)
        await stack.stop()
    return 0


async def _tell_when_ready(stack: Stack, voice: Voice, began: float) -> None:
    await stack.ready(timeout_s=None)
    # Before the last word, so that nobody who waits for that misses it.
    link = stack.take_sign_in_link()
    if link is not None:
        voice.signed_in(link, first_start=stack.first_start)
    voice.ready(stack, time.monotonic() - began)


async def _tell_sign_in(stack: Stack, voice: Voice) -> None:
    # The link is of use as soon as the coordinator answers, whatever else is still missing.
    while True:
        link = stack.take_sign_in_link()
        if link is not None:
            voice.signed_in(link, first_start=stack.first_start)
            return
        await asyncio.sleep(_SIGN_IN_POLL_S)


class _StopSignals:
    """The first SIGINT or SIGTERM asks for an orderly stop, the next one for an end at once."""

    def __init__(self) -> None:
        self.once = asyncio.Event()
        self.at_once: Callable[[], None] = sys.exit
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked)

    def _asked(self) -> None:
        if self.once.is_set():
            self.at_once()
        self.once.set()
