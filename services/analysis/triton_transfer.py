"""Two ways for tensors to reach Triton: shared memory, and inside the message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import tritonclient.grpc.aio as triton_grpc
import tritonclient.utils
from numpy.typing import NDArray

from services.analysis.inference import OutputSpec, Tensors
from services.analysis.shared_memory import Region

REGISTER_TIMEOUT_S: Final = 10.0


class SharedMemoryRefusedError(Exception):
    """Triton cannot open our regions: it does not share this host's memory."""


class Inline:
    """Tensors inside the message."""

    def __init__(self, inputs: Tensors, outputs: Mapping[str, OutputSpec]) -> None:
        self._tensors = inputs
        self.inputs: list[Any] = []
        self.outputs = [triton_grpc.InferRequestedOutput(name) for name in outputs]

    async def __aenter__(self) -> Self:
        for name, tensor in self._tensors.items():
            described = _described(name, tensor)
            await asyncio.to_thread(described.set_data_from_numpy, tensor)
            self.inputs.append(described)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.inputs.clear()

    def read(self, result: Any, name: str) -> NDArray[Any] | None:
        """Return an output, None if the message lacks it."""
        tensor = result.as_numpy(name)
        return None if tensor is None else np.asarray(tensor)


class SharedMemory:
    """Tensors in regions that are registered with Triton while this is entered."""

    def __init__(
        self,
        client: Any,
        prefix: str,
        inputs: Tensors,
        outputs: Mapping[str, OutputSpec],
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._tensors = inputs
        self._specs = outputs
        self._regions: dict[str, Region] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    async def __aenter__(self) -> Self:
        try:
            for name, tensor in self._tensors.items():
                region = await self._registered(name, tensor.nbytes)
                await asyncio.to_thread(region.write, tensor)
                described = _described(name, tensor)
                described.set_shared_memory(region.name, tensor.nbytes)
                self.inputs.append(described)
            for name, spec in self._specs.items():
                region = await self._registered(name, spec.size_bytes)
                wanted = triton_grpc.InferRequestedOutput(name)
                wanted.set_shared_memory(region.name, spec.size_bytes)
                self.outputs.append(wanted)
        except BaseException:
            await self._unregister()
            self._unlink()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Without an answer Triton may still write: it would fall into a hole if unregistered now.
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            await self._unregister()
        self._unlink()

    def read(self, result: Any, name: str) -> NDArray[Any]:
        """Return a copy of an output."""
        spec = self._specs[name]
        return self._regions[name].read(spec.shape, spec.dtype)

    async def _registered(self, name: str, size_bytes: int) -> Region:
        region = await asyncio.to_thread(Region, size_bytes, self._prefix)
        self._regions[name] = region
        try:
            await self._client.register_system_shared_memory(
                region.name, region.key, size_bytes, client_timeout=REGISTER_TIMEOUT_S
            )
        except triton_grpc.InferenceServerException as error:
            if error.status() == "StatusCode.UNAVAILABLE":
                raise
            raise SharedMemoryRefusedError from None
        return region

    async def _unregister(self) -> None:
        for region in self._regions.values():
            with contextlib.suppress(triton_grpc.InferenceServerException):
                await self._client.unregister_system_shared_memory(
                    region.name, client_timeout=REGISTER_TIMEOUT_S
                )

    def _unlink(self) -> None:
        regions, self._regions = self._regions, {}
        for region in regions.values():
            region.close()


def _described(name: str, tensor: NDArray[Any]) -> Any:
    datatype = tritonclient.utils.np_to_triton_dtype(tensor.dtype)
    return triton_grpc.InferInput(name, list(tensor.shape), datatype)
