"""Registers servicers and refuses RPCs that nobody said who may call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from services.runtime.metrics import expect_calls
from services.runtime.permissions import OPEN_METHODS, UndeclaredMethodError, requirement


class Registry(grpc.aio.Server):
    """The server as the generated ``add_..._to_server`` functions see it.

    Attributes:
        service_names: Full names of the services registered so far.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server
        self._handlers: list[grpc.GenericRpcHandler] = []
        self.service_names: list[str] = []

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]
    ) -> None:
        """Take handlers of a service whose methods are registered by name as well."""
        self._handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Take the methods of one service.

        Raises:
            UndeclaredMethodError: One of them names no permission or no audit action.
        """
        for name in method_handlers:
            method = f"/{service_name}/{name}"
            if method not in OPEN_METHODS:
                requirement(method)
            expect_calls(method)
        self.service_names.append(service_name)
        self._server.add_registered_method_handlers(service_name, method_handlers)

    def close(self) -> None:
        """Hand over to the server.

        Raises:
            UndeclaredMethodError: A handler serves methods that cannot be told beforehand.
        """
        for handler in self._handlers:
            name = handler.service_name() if isinstance(handler, grpc.ServiceRpcHandler) else None
            if name not in self.service_names:
                raise UndeclaredMethodError(f"/{name or 'unnamed'}/*")
        self._server.add_generic_rpc_handlers(tuple(self._handlers))

    def add_insecure_port(self, address: str) -> int:
        """See ``grpc.aio.Server``."""
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """See ``grpc.aio.Server``."""
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """See ``grpc.aio.Server``."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """See ``grpc.aio.Server``."""
        await self._server.stop(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """See ``grpc.aio.Server``."""
        return await self._server.wait_for_termination(timeout)
