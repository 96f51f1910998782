"""Metrics of one machine: a socket for each process, and one address for all of them."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any, Final

from services.cli.stack.errors import MissingPartError
from services.cli.stack.layout import Layout

EXPOSING: Final = ("coordinator", "conversion", "analysis", "reporting", "deid", "gateway")
"""Processes that have a socket for metrics."""

_REPOSITORY_ROOT: Final = Path(__file__).resolve().parents[3]


def metrics_socket(layout: Layout, name: str) -> Path:
    """Return where a process answers GET /metrics."""
    return layout.socket(f"{name}-metrics")


def metrics_config(layout: Layout, port: int) -> str:
    """Return what Envoy's configuration has besides.

    Args:
        layout: Where the sockets are.
        port: Port on the loopback address.

    Raises:
        MissingPartError: The template is missing.
    """
    path = _REPOSITORY_ROOT / "deploy/envoy/metrics.yaml"
    if not path.is_file():
        raise MissingPartError(f"Envoy's configuration is missing: {path}")
    upstreams = {name: (metrics_socket(layout, name), "/metrics") for name in EXPOSING}
    upstreams["envoy"] = (layout.socket("envoy-admin"), "/stats/prometheus")
    return string.Template(path.read_text()).substitute(
        metrics_port=str(port),
        metrics_routes=json.dumps([_route(name, path) for name, (_, path) in upstreams.items()]),
        metrics_clusters=json.dumps(
            [_cluster(name, socket) for name, (socket, _) in upstreams.items()]
        ),
    )


def _route(name: str, path: str) -> dict[str, Any]:
    # The whole path, GET alone: the rest of Envoy's admin interface can stop it.
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    return {
        "match": {"path": f"/metrics/{name}", "headers": [get]},
        "route": {
            "cluster": _cluster_name(name),
            "timeout": "10s",
            "prefix_rewrite": path,
        },
    }


def _cluster(name: str, socket: Path) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {
        "name": _cluster_name(name),
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _cluster_name(name),
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def _cluster_name(name: str) -> str:
    return f"metrics_{name}"
