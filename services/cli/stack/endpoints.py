"""Where the processes of a stack reach each other: Unix sockets, or ports behind mutual TLS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from services.cli.stack.layout import Layout
from services.cli.stack.mesh_ca import MeshCa
from services.cli.stack.ports import free_ports
from services.cli.stack.settings import StackSettings
from services.runtime.mesh_address import CA, CERTIFICATE, KEY, SERVER_NAME, MtlsAddress

MESH: Final = "mesh"
OPERATOR: Final = "operator"
_LOOPBACK: Final = "127.0.0.1"
_SOCKETS: Final = "type.googleapis.com/envoy.extensions.transport_sockets"


@dataclass(frozen=True)
class Endpoints:
    """Addresses of one stack.

    Attributes:
        layout: Where sockets and identities lie.
        ports: Port of each process and of the mesh; empty where all are Unix sockets.
        mesh_host: Address on which the mesh listens, where it has a port.
    """

    layout: Layout
    ports: Mapping[str, int] = field(default_factory=dict)
    mesh_host: str = _LOOPBACK

    @classmethod
    def prepare(cls, layout: Layout, settings: StackSettings, names: tuple[str, ...]) -> Endpoints:
        """Choose addresses; with mutual TLS make what identities are missing.

        Raises:
            TlsError: The certificate authority cannot be read.
            PortTakenError: There are no free ports.
        """
        if settings.mtls is None:
            return cls(layout)
        ca = MeshCa(layout.data / "keys")
        for name in (*names, MESH, OPERATOR):
            ca.provide(name, layout.identity(name))
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        return cls(layout, {**ports, MESH: settings.mtls.port}, settings.mtls.address)

    def listen(self, name: str) -> str:
        """Return where a process listens."""
        return self._address(name, _LOOPBACK, name)

    def reach(self, name: str, caller: str) -> str:
        """Return how a caller reaches a process, or the mesh."""
        return self._address(name, _LOOPBACK, caller)

    def envoy_address(self, name: str) -> dict[str, Any]:
        """Return an address of a process, or of the mesh, as Envoy wants it."""
        if name not in self.ports:
            mode = {"mode": 0o600} if name == MESH else {}
            return {"pipe": {"path": str(self.layout.socket(name)), **mode}}
        host = self.mesh_host if name == MESH else _LOOPBACK
        return {"socket_address": {"address": host, "port_value": self.ports[name]}}

    def envoy_listener(self) -> dict[str, Any]:
        """Return Envoy's transport socket of the mesh listener."""
        if not self.ports:
            return _raw()
        context = {
            "@type": f"{_SOCKETS}.tls.v3.DownstreamTlsContext",
            "require_client_certificate": True,
            "common_tls_context": self._tls(),
        }
        return {"name": "envoy.transport_sockets.tls", "typed_config": context}

    def envoy_upstream(self) -> dict[str, Any]:
        """Return Envoy's transport socket towards processes."""
        if not self.ports:
            return _raw()
        context = {
            "@type": f"{_SOCKETS}.tls.v3.UpstreamTlsContext",
            "sni": SERVER_NAME,
            "common_tls_context": self._tls(),
        }
        return {"name": "envoy.transport_sockets.tls", "typed_config": context}

    def _address(self, name: str, host: str, own: str) -> str:
        if name not in self.ports:
            return f"unix:{self.layout.socket(name)}"
        return str(MtlsAddress(self.layout.identity(own), host, self.ports[name]))

    def _tls(self) -> dict[str, Any]:
        folder: Path = self.layout.identity(MESH)
        exact = {"san_type": "DNS", "matcher": {"exact": SERVER_NAME}}
        return {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(folder / CERTIFICATE)},
                    "private_key": {"filename": str(folder / KEY)},
                }
            ],
            "validation_context": {
                "trusted_ca": {"filename": str(folder / CA)},
                "match_typed_subject_alt_names": [exact],
            },
            "alpn_protocols": ["h2"],
        }


def _raw() -> dict[str, Any]:
    raw = {"@type": f"{_SOCKETS}.raw_buffer.v3.RawBuffer"}
    return {"name": "envoy.transport_sockets.raw_buffer", "typed_config": raw}
