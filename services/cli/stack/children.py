"""Our own Python processes: what each is told, and how it is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.cli.stack.command import Command
from services.cli.stack.endpoints import MESH, Endpoints
from services.cli.stack.layout import Layout
from services.cli.stack.metrics import metrics_socket
from services.cli.stack.process import ProcessSpec
from services.cli.stack.readiness import grpc_serving
from services.cli.stack.settings import StackSettings
from services.cli.stack.triton import model_repository, sweep_shared_memory

MODULES: Final[Mapping[str, str]] = {
    "coordinator": "services.coordinator",
    "conversion": "services.conversion",
    "analysis": "services.analysis",
    "reporting": "services.reporting",
    "deid": "services.deid",
    "gateway": "gateway",
}

_AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    "coordinator": ("postgres",),
    "gateway": ("coordinator",),
}
_REPOSITORY_ROOT: Final = Path(__file__).resolve().parents[3]
FEWER_THREADS: Final = "-event_engine_client,-event_engine_listener"
"""A setting of gRPC: one thread waits for sockets and takes what is done, so that a message wakes
half as many threads and costs a third less."""
_OF_STORES: Final = ("AWS_", "AZURE_", "GOOGLE_")
_INHERITED: Final = ("HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONFAULTHANDLER")


def python_spec(
    name: str, layout: Layout, environ: Mapping[str, str], endpoints: Endpoints | None = None
) -> ProcessSpec:
    """Return how one of our processes is supervised.

    Args:
        name: One of ``MODULES``.
        layout: Where its files lie.
        environ: What it is told, from ``child_environ``.
        endpoints: Where it listens; on its Unix socket unless given.
    """
    endpoints = endpoints or Endpoints(layout)
    sockets = [layout.socket(name)]
    sockets.append(metrics_socket(layout, name))
    if name == "gateway":
        sockets.append(layout.socket("gateway-http"))

    async def prepare() -> Command:
        for socket in sockets:
            socket.unlink(missing_ok=True)
        if name == "analysis":
            sweep_shared_memory(analysis_shm_prefix(layout))
        # -P: a module in the current folder never shadows one of ours.
        return Command((sys.executable, "-P", "-m", MODULES[name]), environ)

    return ProcessSpec(
        name=name,
        prepare=prepare,
        probe=grpc_serving(endpoints.reach(name, name)),
        workdir=layout.run,
        after=_AFTER.get(name, ()),
        grace_s=15.0,
    )


def child_environ(
    name: str,
    layout: Layout,
    settings: StackSettings,
    dsn: str,
    triton_port: int,
    endpoints: Endpoints | None = None,
) -> dict[str, str]:
    """Return the whole environment of one of our processes.

    Settings of ours that are in the supervisor's environment reach every process; the values
    that this stack decides win over them.
    """
    endpoints = endpoints or Endpoints(layout)
    values = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    values |= {key: value for key, value in os.environ.items() if key.startswith("HEIMDALLR_")}
    # A DSN holds a password: only the coordinator speaks to PostgreSQL.
    values.pop("HEIMDALLR_DATABASE_DSN", None)
    # One address cannot be that of every process.
    values.pop("HEIMDALLR_METRICS_LISTEN", None)
    values |= {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        "GRPC_EXPERIMENTS": FEWER_THREADS,
        "HEIMDALLR_SERVICE_NAME": name,
        "HEIMDALLR_LISTEN": endpoints.listen(name),
        "HEIMDALLR_MESH": endpoints.reach(MESH, name),
        "HEIMDALLR_TOKEN_FILE": str(layout.token(name)),
        "HEIMDALLR_JWKS_FILE": str(layout.jwks),
        "HEIMDALLR_BLOBS": settings.blobs or layout.blobs.as_uri(),
        "HEIMDALLR_LOG_LEVEL": settings.log_level.upper(),
    }
    if settings.metrics_port is not None:
        values["HEIMDALLR_METRICS_LISTEN"] = f"unix:{metrics_socket(layout, name)}"
    values["PYTHONPATH"] = import_path()
    if name == "gateway":
        values["HEIMDALLR_GATEWAY_INTAKE_ADDRESS"] = endpoints.reach("coordinator", name)
    if settings.blobs is not None:
        values |= _of_object_store(layout)
    return values | _own_values(name, layout, settings, dsn, triton_port)


def analysis_shm_prefix(layout: Layout) -> str:
    """Return the start of the names of the shared memory regions that analysis makes."""
    return f"{layout.shm_prefix}analysis_"


def _own_values(
    name: str, layout: Layout, settings: StackSettings, dsn: str, triton_port: int
) -> dict[str, str]:
    if name == "coordinator":
        return {
            "HEIMDALLR_DATABASE_DSN": dsn,
            "HEIMDALLR_COORDINATOR_ISSUER_KEY_FILE": str(layout.issuer_key),
            "HEIMDALLR_COORDINATOR_SIGN_IN_FILE": str(layout.sign_in),
            "HEIMDALLR_COORDINATOR_STACK_FILE": str(layout.state),
            # Each open watch of each page is a call.
            "HEIMDALLR_MAX_CONCURRENT_CALLS": os.environ.get(
                "HEIMDALLR_MAX_CONCURRENT_CALLS", "4096"
            ),
        }
    if name == "conversion":
        return {"HEIMDALLR_CONVERSION_WORK_FOLDER": str(layout.work / name)}
    if name == "deid":
        return {
            "HEIMDALLR_DEID_KEYS_FOLDER": str(layout.deid_keys),
            "HEIMDALLR_DEID_WORK_FOLDER": str(layout.work / name),
        }
    if name == "analysis":
        return {
            "HEIMDALLR_ANALYSIS_TRITON_ADDRESS": f"127.0.0.1:{triton_port}",
            "HEIMDALLR_MODEL_REPOSITORY": str(model_repository()),
            "HEIMDALLR_ANALYSIS_SHM_PREFIX": analysis_shm_prefix(layout),
        }
    if name == "gateway":
        return {
            "HEIMDALLR_GATEWAY_DICOM_ADDRESS": f"{settings.dicom_address}:{settings.dicom_port}",
            "HEIMDALLR_GATEWAY_AE_TITLE": os.environ.get("HEIMDALLR_GATEWAY_AE_TITLE", "HEIMDALLR"),
            "HEIMDALLR_GATEWAY_JOURNAL_FOLDER": str(layout.journal),
            "HEIMDALLR_GATEWAY_HTTP_LISTEN": f"unix:{layout.socket('gateway-http')}",
            "HEIMDALLR_OHIF_PAGE_PORT": str(settings.http_port),
            **_dicom_tls(settings),
        }
    return {}


def _dicom_tls(settings: StackSettings) -> dict[str, str]:
    tls = settings.dicom_tls
    if tls is None:
        return {}
    values = {
        "HEIMDALLR_DICOM_TLS_ADDRESS": f"{settings.dicom_address}:{tls.port}",
        "HEIMDALLR_DICOM_TLS_CERTIFICATE": str(tls.certificate.absolute()),
        "HEIMDALLR_DICOM_TLS_KEY": str(tls.key.absolute()),
    }
    if tls.client_ca is not None:
        values["HEIMDALLR_DICOM_TLS_CLIENT_CA"] = str(tls.client_ca.absolute())
        values["HEIMDALLR_DICOM_TLS_CLIENT_CERTIFICATE"] = "required"
    return values


def _of_object_store(layout: Layout) -> dict[str, str]:
    # Credentials of the store are found where its own programs look for them.
    given = {key: value for key, value in os.environ.items() if key.startswith(_OF_STORES)}
    return {
        **given,
        "HEIMDALLR_GATEWAY_CONTENT": "chunks",
        "HEIMDALLR_GATEWAY_SPOOL": str(layout.spool),
    }


def import_path() -> str:
    """Return the folders from which a process of ours imports."""
    generated = _REPOSITORY_ROOT / "gen/python"
    checkout = [str(_REPOSITORY_ROOT), str(generated)] if generated.is_dir() else []
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(checkout + [folder for folder in given.split(os.pathsep) if folder])
