"""Traces by OpenTelemetry: off unless a collector is named, and never with patient data.

A span carries our ids, methods, codes and stage names; what the allow-list of log lines would not
let pass does not get onto a span either. The texts of exceptions are not recorded.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.runtime import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

METADATA_KEY: Final = "traceparent"
"""W3C Trace Context; its `tracestate`, free text of whoever calls, is not passed on."""

Values = Mapping[str, str | int]
_NOTHING: Final[Values] = MappingProxyType({})
_PREFIX: Final = "heimdallr."
_STOP_GRACE_S: Final = 3.0
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class _Switch:
    """The tracer of this process; None while traces are off."""

    tracer: trace.Tracer | None = None


@asynccontextmanager
async def exported(endpoint: str | None, service: str, share: float = 1.0) -> AsyncIterator[None]:
    """Send spans to a collector meanwhile.

    Args:
        endpoint: URL of an OTLP collector (gRPC), e.g. "http://127.0.0.1:4317"; None sends none.
        service: Our name of this process.
        share: Share of the traces begun here that is kept, 0 to 1; those begun elsewhere are kept
            when the caller keeps them.
    """
    if endpoint is None:
        yield
        return
    provider = _provider(endpoint, service, share)
    _Switch.tracer = provider.get_tracer("heimdallr")
    try:
        yield
    finally:
        _Switch.tracer = None
        # A thread of its own: a collector that is away must not hold the process up.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _STOP_GRACE_S)


@contextmanager
def span(name: str, values: Values = _NOTHING, *, inner: bool = False) -> Iterator[None]:
    """Trace what is done meanwhile.

    Args:
        name: A constant.
        values: What is known of it, by the keys of log lines.
        inner: Whether it is left out where nothing is being traced yet.
    """
    tracer = _Switch.tracer
    if tracer is None or (inner and not trace.get_current_span().get_span_context().is_valid):
        yield
        return
    with tracer.start_as_current_span(
        name, attributes=_attributes(values), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_attribute("error.type", type(error).__qualname__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def begin_call(method: str, traceparent: str | None) -> trace.Span:
    """Begin the span of a call that is served; it holds for the rest of the running task.

    Args:
        method: Full method of the call.
        traceparent: What the caller said; ignored when it is not well formed.
    """
    tracer = _Switch.tracer
    if tracer is None:
        return trace.INVALID_SPAN
    carrier = {METADATA_KEY: traceparent} if traceparent else {}
    parent = _PROPAGATOR.extract(carrier, otel_context.Context())
    begun = tracer.start_span(
        method.removeprefix("/"), parent, trace.SpanKind.SERVER, _attributes({"method": method})
    )
    # Never detached: the task ends with the call, and a stream may be closed by another task.
    otel_context.attach(trace.set_span_in_context(begun, parent))
    return begun


def end_call(begun: trace.Span, code: str, correlation_id: str) -> None:
    """End the span of a call with its status code."""
    values = _attributes({"code": code, "correlation_id": correlation_id})
    begun.set_attributes(values)
    if code in ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"):
        begun.set_status(trace.StatusCode.ERROR)
    begun.end()


def traceparent() -> str | None:
    """Return what tells the next service whose work it does; None where nothing is traced."""
    if _Switch.tracer is None:
        return None
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(METADATA_KEY)


def _attributes(values: Values) -> dict[str, str | int]:
    return {
        f"{_PREFIX}{key}": value
        for key, value in logs.redact(None, "", dict(values)).items()
        if value != logs.REDACTED
    }


def _provider(endpoint: str, service: str, share: float) -> TracerProvider:
    # Imported here: only who traces pays for the SDK.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    version = metadata.version("heimdallr")
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(share),
        resource=Resource({"service.name": service, "service.version": version}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http:"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
