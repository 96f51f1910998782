"""The mesh as a client sees it: one address, a token and a correlation id with each call."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self, cast

import grpc
import grpc_status.rpc_status
from google.rpc import error_details_pb2

from services.runtime import telemetry
from services.runtime.contracts import is_retryable, service_contracts
from services.runtime.correlation import METADATA_KEY, correlation_id
from services.runtime.errors import ERROR_DOMAIN
from services.runtime.mesh_address import open_transport
from services.runtime.metrics import count_client_call
from services.runtime.token_source import TokenSource

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
MAX_METADATA_BYTES: Final = 16 * 1024
_DEFAULT_TIMEOUT_S: Final = 30.0
_RETRYABLE_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # The server ended the call while it drained; a cancel of ours is a CancelledError.
        grpc.StatusCode.CANCELLED,
    }
)

# grpc.aio puts this in place of the server's status when a write fails as the server ends the
# stream (grpc/grpc#36066): what the server said is lost, so the caller has to ask again.
_STATUS_LOST: Final = "Internal error from Core"


class ServiceCallError(Exception):
    """A call to a service failed.

    Attributes:
        code: gRPC status code.
        reason: Name of the `ErrorReason`, e.g. "ERROR_REASON_BLOB_NOT_FOUND"; empty when the
            failure is not one of ours.
        metadata: Values documented on the reason.
        text: Text for a developer.
    """

    def __init__(
        self, code: grpc.StatusCode, reason: str, metadata: Mapping[str, str], text: str
    ) -> None:
        super().__init__(f"{code.name} {reason}".strip())
        self.code = code
        self.reason = reason
        self.metadata = metadata
        self.text = text

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in _RETRYABLE_CODES or self.text.startswith(_STATUS_LOST)


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    """Return the ``ErrorInfo`` of ours that a failed call carries."""
    # from_call is typed for grpc.Call; the aio error has the same three methods.
    try:
        status = grpc_status.rpc_status.from_call(cast("grpc.Call", error))
    except ValueError:
        return None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == ERROR_DOMAIN:
            return info
    return None


def call_error(error: grpc.aio.AioRpcError) -> ServiceCallError:
    """Return a failed call as a typed error."""
    info = error_info(error)
    reason = info.reason if info is not None else ""
    metadata = dict(info.metadata) if info is not None else {}
    return ServiceCallError(error.code(), reason, metadata, error.details() or "")


@contextmanager
def typed_errors() -> Iterator[None]:
    """Raise `ServiceCallError` in place of gRPC's own error, for unary and streamed calls."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise call_error(error) from None


def open_channel(
    address: str,
    token_source: TokenSource | None = None,
    *,
    timeout_s: float = _DEFAULT_TIMEOUT_S,
) -> MeshChannel:
    """Return a channel to one address, for the generated stubs.

    Calls that their contract calls idempotent are made again when the server cannot be reached.

    Args:
        address: "unix:/path", "host:port" or "mtls:/folder@host:port".
        token_source: Gives the bearer token; None sends none.
        timeout_s: Deadline of calls with one answer that name none themselves, in seconds.
    """
    channel = open_transport(address, _options())
    return MeshChannel(channel, token_source, timeout_s)


class MeshChannel(grpc.aio.Channel):
    """A channel that adds the token, the correlation id and a default deadline to each call.

    gRPC's own client interceptors put a task and a queue around every stream; this costs a few
    microseconds instead.
    """

    def __init__(
        self, channel: grpc.aio.Channel, token_source: TokenSource | None, timeout_s: float
    ) -> None:
        self._channel = channel
        self._token_source = token_source
        self._timeout_s = timeout_s

    def unary_unary(self, *args: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        call = self._channel.unary_unary(*args, **options)
        return self._prepared(call, args[0], self._timeout_s)

    def stream_unary(self, *args: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        return self._prepared(self._channel.stream_unary(*args, **options), args[0], None)

    def unary_stream(self, *args: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        return self._prepared(self._channel.unary_stream(*args, **options), args[0], None)

    def stream_stream(self, *args: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        return self._prepared(self._channel.stream_stream(*args, **options), args[0], None)

    def _prepared(self, multicallable: Any, method: str, timeout_s: float | None) -> Any:
        done = functools.partial(count_client_call, method)

        def call(
            request: Any = None, *, timeout: float | None = None, metadata: Any = None, **rest: Any
        ) -> Any:
            started = multicallable(
                request,
                timeout=timeout if timeout is not None else timeout_s,
                metadata=(*(metadata or ()), *self._metadata()),
                **rest,
            )
            started.add_done_callback(done)
            return started

        return call

    def _metadata(self) -> Iterator[tuple[str, str]]:
        if self._token_source is not None:
            yield "authorization", f"Bearer {self._token_source.token()}"
        current = correlation_id()
        if current:
            yield METADATA_KEY, current
        traced = telemetry.traceparent()
        if traced is not None:
            yield telemetry.METADATA_KEY, traced

    async def close(self, grace: float | None = None) -> None:
        """See ``grpc.aio.Channel``."""
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See ``grpc.aio.Channel``."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See ``grpc.aio.Channel``."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See ``grpc.aio.Channel``."""
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


def service_config() -> str:
    """Return gRPC's service config: bounded retries of what contracts call idempotent.

    Calls that stream requests are left out: a retry would keep copies of what was sent.
    """
    names = [
        {"service": service.full_name, "method": method.name}
        for service in service_contracts()
        for method in service.methods
        if is_retryable(method) and not method.client_streaming
    ]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})


def _options() -> list[tuple[str, Any]]:
    return [
        ("grpc.service_config", service_config()),
        ("grpc.enable_retries", 1),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
