"""``heimdallr up``: run the whole stack of one machine in the foreground."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

import typer

from services.cli import up_options as options
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
    data: options.DataOption = None,
    http_port: options.HttpPortOption = 8080,
    dicom_port: options.DicomPortOption = 11112,
    dicom_tls_port: options.DicomTlsPortOption = None,
    dicom_tls_certificate: options.DicomTlsCertificateOption = None,
    dicom_tls_key: options.DicomTlsKeyOption = None,
    dicom_tls_client_ca: options.DicomTlsClientCaOption = None,
    http_address: options.HttpAddressOption = "127.0.0.1",
    dicom_address: options.DicomAddressOption = "127.0.0.1",
    database: options.DatabaseOption = None,
    blobs: options.BlobsOption = None,
    tls: options.TlsOption = False,
    tls_certificate: options.TlsCertificateOption = None,
    tls_key: options.TlsKeyOption = None,
    mtls: options.MtlsOption = False,
    mesh_port: options.MeshPortOption = 8443,
    mesh_address: options.MeshAddressOption = "127.0.0.1",
    metrics_port: options.MetricsPortOption = None,
    ohif_port: options.OhifPortOption = None,
    as_json: options.JsonOption = False,
    log_level: options.LogLevelOption = "info",
    without: options.WithoutOption = None,
) -> None:
    """Run the stack of this machine until Ctrl-C.

    Exit status: 0 after an orderly stop; 1 when it refuses to start; 2 when an option is wrong;
    4 when a stack already runs on the data folder.
    """
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
    _refuse_what_cannot_work(settings)
    voice = JsonVoice() if as_json else ScreenVoice()
    raise typer.Exit(asyncio.run(run(settings, voice)))


def _refuse_what_cannot_work(settings: StackSettings) -> None:
    if settings.log_level not in {"debug", "info", "warning", "error"}:
        raise typer.BadParameter("debug, info, warning or error", param_hint="--log-level")
    if not NAMES.issuperset(settings.without):
        raise typer.BadParameter(f"one of {', '.join(sorted(NAMES))}", param_hint="--without")
    if settings.database is not None and not settings.database.startswith(_DSN_SCHEMES):
        # The DSN is not repeated: it may hold a password.
        raise typer.BadParameter("a DSN begins with postgresql://", param_hint="--database")
    if settings.blobs is not None and not settings.blobs.startswith(_STORES):
        raise typer.BadParameter(" or ".join(_STORES), param_hint="--blobs")
    _require_different_ports(_listeners(settings))


def _listeners(settings: StackSettings) -> dict[str, tuple[str, int | None]]:
    dicom_tls, mtls = settings.dicom_tls, settings.mtls
    return {
        "--http-port": (settings.http_address, settings.http_port),
        "--dicom-port": (settings.dicom_address, settings.dicom_port),
        "--dicom-tls-port": (settings.dicom_address, dicom_tls.port if dicom_tls else None),
        "--metrics-port": ("127.0.0.1", settings.metrics_port),
        "--ohif-port": (settings.http_address, settings.ohif_port),
        "--mesh-port": (mtls.address, mtls.port) if mtls else ("", None),
    }


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
