"""Settings that every server reads once, from its environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.mesh_address import mtls_address
from services.runtime.trust_zone import TrustZones

EXIT_CONFIGURATION = 2
_MAX_SOCKET_PATH = 107


def _checked_address(address: str) -> str:
    """Accept "unix:/absolute/path", "host:port" or "mtls:/folder@host:port"."""
    if mtls_address(address) is not None:
        return address
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError("a Unix socket needs an absolute path: unix:/...")
        if len(path.encode()) > _MAX_SOCKET_PATH:
            raise ValueError(f"the path of a Unix socket has at most {_MAX_SOCKET_PATH} bytes")
        return address
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("neither unix:/path nor host:port")
    return address


def _zones(hosts: str) -> TrustZones:
    return TrustZones(part for part in map(str.strip, hosts.split(",")) if part)


def _checked_hosts(hosts: str) -> str:
    """Accept hosts, addresses and networks with commas between."""
    _zones(hosts)
    return hosts


Address = Annotated[str, Field(min_length=1), AfterValidator(_checked_address)]


class RuntimeSettings(BaseSettings):
    """What a server of the mesh needs to run, whichever service it is.

    Attributes:
        service_name: Our name of the service, e.g. "conversion".
        listen: Where to listen: "unix:/path", "host:port", or "mtls:/folder@host:port" with the
            folder of this service's own certificate.
        mesh: The one address that calls to other services go to.
        token_file: File with this service's own token.
        jwks_file: File with the keys that sign tokens.
        blobs: URL of the blob store: file:///..., s3://..., gs://..., az://....
        blobs_free_bytes: Room that stays free in a local blob store: below it nothing is stored.
        blobs_low_bytes: Room below which people are warned.
        log_level: Least level that is logged.
        unary_deadline_s: Longest time a call with one request and one answer may take.
        grace_s: Time that calls have to end in after SIGTERM.
        max_concurrent_calls: More calls than this at once are refused.
        metrics_listen: Where GET /metrics is answered: "unix:/path" or "host:port"; off if absent.
        inside_hosts: Hosts, addresses and networks of models that lie inside, with commas between;
            a model's address that is none of them is outside.
        otlp_endpoint: URL of an OTLP collector (gRPC) that traces go to; off if absent.
        otlp_share: Share of traces that is kept, 0 to 1.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_", frozen=True, extra="ignore")

    service_name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    listen: Address
    mesh: Address
    token_file: Path
    jwks_file: Path
    blobs: str = Field(min_length=1)
    blobs_free_bytes: int = Field(default=1 << 30, ge=0)
    blobs_low_bytes: int = Field(default=5 << 30, ge=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    unary_deadline_s: float = Field(default=600.0, gt=0)
    grace_s: float = Field(default=5.0, ge=0)
    max_concurrent_calls: int = Field(default=1024, gt=0)
    metrics_listen: Address | None = None
    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://[^/\s]+$")
    otlp_share: float = Field(default=1.0, ge=0, le=1)
    inside_hosts: Annotated[str, AfterValidator(_checked_hosts)] = ""

    @property
    def trust_zones(self) -> TrustZones:
        """Tells which addresses of models lie inside."""
        return _zones(self.inside_hosts)


class SettingsError(Exception):
    """Settings are absent or wrong; the text names each variable, never its value."""


_Settings = TypeVar("_Settings", bound=BaseSettings)


def read_settings(kind: type[_Settings]) -> _Settings:
    """Return settings from the environment.

    Raises:
        SettingsError: A variable is absent or breaks its rule.
    """
    prefix = kind.model_config.get("env_prefix", "")
    try:
        return kind()
    except ValidationError as error:
        lines = [
            f"{prefix}{'_'.join(map(str, item['loc']))}".upper() + f": {item['msg']}"
            for item in error.errors(include_input=False, include_context=False)
        ]
        raise SettingsError("\n".join(lines)) from None


def load_settings(kind: type[_Settings]) -> _Settings:
    """Return settings from the environment, or leave with exit code 2 and a clear message."""
    try:
        return read_settings(kind)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EXIT_CONFIGURATION) from None
