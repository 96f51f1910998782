"""One way to put code around a call, whichever of the four kinds of handler serves it."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

Continuation = Callable[
    [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
]


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A call on its way to its handler.

    Attributes:
        method: Full method, e.g. "/heimdallr.access.v1.AccessService/SignIn".
        request: The request; None where requests are a stream.
        streams_answer: Whether answers are a stream.
        context: gRPC's context of the call.
    """

    method: str
    request: Message | None
    streams_answer: bool
    context: grpc.aio.ServicerContext[Any, Any]

    def metadata(self, key: str) -> str | None:
        """Return the first text value of a metadata key."""
        for name, value in self.context.invocation_metadata() or ():
            if name == key and isinstance(value, str):
                return value
        return None


class AroundInterceptor(grpc.aio.ServerInterceptor):
    """Runs `around` as a context manager about each call."""

    @abstractmethod
    def around(self, call: IncomingCall) -> AbstractAsyncContextManager[None]:
        """Return what surrounds a call; it sees the exceptions of the handler."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler that serves the method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return self._wrapped(handler_call_details.method, handler)

    def _wrapped(
        self, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        codec = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary is not None:
            call = self._one_answer(method, handler.unary_unary)
            return grpc.unary_unary_rpc_method_handler(call, *codec)
        if handler.stream_unary is not None:
            call = self._one_answer(method, handler.stream_unary)
            return grpc.stream_unary_rpc_method_handler(call, *codec)
        if handler.unary_stream is not None:
            stream = self._many_answers(method, handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(stream, *codec)
        stream = self._many_answers(method, handler.stream_stream)
        return grpc.stream_stream_rpc_method_handler(stream, *codec)

    def _one_answer(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with self.around(_incoming(method, request, context, streams_answer=False)):
                return await inner(request, context)

        return call

    def _many_answers(self, method: str, inner: Any) -> Any:
        async def stream(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Any]:
            async with self.around(_incoming(method, request, context, streams_answer=True)):
                answers = inner(request, context)
                if inspect.isawaitable(answers):
                    await answers
                    return
                async with aclosing(answers):
                    async for answer in answers:
                        yield answer

        return stream


def _incoming(
    method: str,
    request: Any,
    context: grpc.aio.ServicerContext[Any, Any],
    *,
    streams_answer: bool,
) -> IncomingCall:
    message = request if isinstance(request, Message) else None
    return IncomingCall(method, message, streams_answer, context)
