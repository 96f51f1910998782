"""Client of a Triton inference server (KServe v2 over gRPC)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import tritonclient.grpc.aio as triton_grpc
import tritonclient.utils
from numpy.typing import NDArray

from services.analysis import shared_memory
from services.analysis.errors import (
    ModelOutputInvalidError,
    ModelRefusedError,
    ModelUnavailableError,
)
from services.analysis.inference import OutputSpec, Tensors
from services.analysis.triton_transfer import Inline, SharedMemory, SharedMemoryRefusedError

CONTROL_TIMEOUT_S: Final = 10.0
LOAD_TIMEOUT_S: Final = 60.0

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # By default a channel that saw Triton down for a while tries again only after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class TritonClient:
    """Runs models, moving tensors through shared memory where Triton is on this host.

    A model is loaded when it is first used. A Python stub that dies is never restarted by Triton,
    and the model stays "ready": this client sees the failed call, loads the model anew, and
    reports `ModelUnavailableError`, after which the same call may succeed.

    Args:
        address: Triton's gRPC address, ``host:port``.
        concurrency: Calls in flight at most; each holds its tensors in memory.
        prefix: Start of the names of its shared memory regions.
    """

    def __init__(
        self,
        address: str,
        *,
        concurrency: int = 1,
        prefix: str = shared_memory.DEFAULT_PREFIX,
    ) -> None:
        self._prefix = prefix
        self._client = triton_grpc.InferenceServerClient(address, channel_args=_CHANNEL_OPTIONS)
        self._permits = asyncio.Semaphore(concurrency)
        self._loads: dict[str, int] = {}
        self._loading = asyncio.Lock()
        self._calls: set[asyncio.Task[dict[str, NDArray[Any]]]] = set()
        self._is_local = address.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")

    async def close(self) -> None:
        """End calls in flight and free their memory."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._client.close()

    async def sweep(self) -> int:
        """Free regions that a predecessor left behind, here and in Triton; return how many."""
        swept = await asyncio.to_thread(shared_memory.sweep, self._prefix)
        with contextlib.suppress(triton_grpc.InferenceServerException):
            status = await self._client.get_system_shared_memory_status(
                as_json=True, client_timeout=CONTROL_TIMEOUT_S
            )
            for name in status.get("regions", {}):
                if name.startswith(self._prefix) and not _exists(name):
                    await self._client.unregister_system_shared_memory(name)
        return swept

    async def ensure_loaded(self, model: str) -> int:
        """Load a model unless it is; Triton forgets it when it is started again.

        Returns:
            How often this client has loaded it.

        Raises:
            ModelUnavailableError: Triton cannot be reached or cannot load it.
        """
        async with self._loading:
            try:
                known = self._loads.get(model, 0)
                if known and await self._client.is_model_ready(
                    model, client_timeout=CONTROL_TIMEOUT_S
                ):
                    return known
                await self._client.load_model(model, client_timeout=LOAD_TIMEOUT_S)
            except triton_grpc.InferenceServerException as error:
                raise ModelUnavailableError(model, _why(error)) from None
            self._loads[model] = known + 1
            return known + 1

    async def is_ready(self, model: str) -> bool:
        """Return whether Triton can run a model: it has it, or has not been asked to load it."""
        try:
            if model in self._loads:
                return bool(
                    await self._client.is_model_ready(model, client_timeout=CONTROL_TIMEOUT_S)
                )
            return bool(await self._client.is_server_ready(client_timeout=CONTROL_TIMEOUT_S))
        except triton_grpc.InferenceServerException:
            return False

    async def infer(
        self,
        model: str,
        inputs: Tensors,
        outputs: Mapping[str, OutputSpec],
        *,
        timeout_s: float,
    ) -> dict[str, NDArray[Any]]:
        """Run a model once.

        Triton may write an output until it has answered, so the call itself goes on in the
        background when the caller gives up; its regions are freed, and its permit returned, only
        once Triton has let go of them.

        Args:
            model: Name in Triton's repository.
            inputs: Input tensors by name.
            outputs: What each output tensor must be.
            timeout_s: Time for loading, waiting in line and running.

        Raises:
            ModelUnavailableError: Triton or the model's process is down, or time is up.
            ModelRefusedError: The model calls the input invalid.
            ModelOutputInvalidError: An output is absent, has another shape or type, or is not
                finite.
        """
        load = 0
        try:
            async with asyncio.timeout(timeout_s):
                load = await self.ensure_loaded(model)
                await self._permits.acquire()
                call = asyncio.create_task(self._run(model, inputs, outputs))
                self._calls.add(call)
                call.add_done_callback(self._finished)
                return await asyncio.shield(call)
        except TimeoutError:
            raise ModelUnavailableError(model, "no answer in time") from None
        except triton_grpc.InferenceServerException as error:
            raise await self._translated(model, load, error) from None

    def _finished(self, call: asyncio.Task[dict[str, NDArray[Any]]]) -> None:
        self._calls.discard(call)
        self._permits.release()
        if not call.cancelled():
            call.exception()  # Seen here when the caller has gone.

    async def _run(
        self, model: str, inputs: Tensors, outputs: Mapping[str, OutputSpec]
    ) -> dict[str, NDArray[Any]]:
        if self._is_local:
            try:
                async with SharedMemory(self._client, self._prefix, inputs, outputs) as transfer:
                    return await self._exchange(model, transfer, outputs)
            except (SharedMemoryRefusedError, OSError):
                # Triton in a container of its own, or /dev/shm full: the slow way still works.
                self._is_local = False
        async with Inline(inputs, outputs) as inline:
            return await self._exchange(model, inline, outputs)

    async def _exchange(
        self, model: str, transfer: SharedMemory | Inline, outputs: Mapping[str, OutputSpec]
    ) -> dict[str, NDArray[Any]]:
        result = await self._client.infer(model, transfer.inputs, outputs=transfer.outputs)
        tensors: dict[str, NDArray[Any]] = {}
        for name, spec in outputs.items():
            _check_described(model, name, spec, result.get_output(name))
            tensor = await asyncio.to_thread(transfer.read, result, name)
            if tensor is None or tensor.shape != spec.shape or tensor.dtype != spec.dtype:
                raise ModelOutputInvalidError(model, f"{name}: another shape or type")
            if spec.dtype.kind == "f" and not await asyncio.to_thread(_is_finite, tensor):
                raise ModelOutputInvalidError(model, f"{name}: not finite")
            tensors[name] = tensor
        return tensors

    async def _translated(
        self, model: str, load: int, error: Any
    ) -> ModelUnavailableError | ModelRefusedError | ModelOutputInvalidError:
        status, text = error.status(), error.message() or ""
        if status == "StatusCode.INVALID_ARGUMENT":
            return ModelRefusedError(text[:200])
        if "shared memory" in text.lower() and "size" in text.lower():
            return ModelOutputInvalidError(model, "an output is larger than its contract")
        if "not healthy" in text or "stub" in text.lower():
            await self._reload(model, load)
            return ModelUnavailableError(model, "its process died and was started again")
        return ModelUnavailableError(model, _why(error))

    async def _reload(self, model: str, load: int) -> None:
        """Unload and load: only this makes Triton start a new stub.

        Args:
            model: Name in Triton's repository.
            load: The load whose stub died; nothing is done if a later one exists.
        """
        with contextlib.suppress(triton_grpc.InferenceServerException):
            async with self._loading:
                if self._loads.get(model) != load:
                    return
                await self._client.unload_model(model, client_timeout=LOAD_TIMEOUT_S)
                await self._client.load_model(model, client_timeout=LOAD_TIMEOUT_S)
                self._loads[model] = load + 1


def _check_described(model: str, name: str, spec: OutputSpec, described: Any) -> None:
    """Compare what Triton says of an output: the region alone has neither shape nor type."""
    if described is None:
        raise ModelOutputInvalidError(model, f"{name}: absent")
    expected = tritonclient.utils.np_to_triton_dtype(spec.dtype)
    if tuple(described.shape) != spec.shape or described.datatype != expected:
        raise ModelOutputInvalidError(model, f"{name}: another shape or type")


def _is_finite(tensor: NDArray[Any]) -> bool:
    return bool(np.isfinite(tensor).all())


def _exists(name: str) -> bool:
    return (shared_memory.FOLDER / name).exists()


def _why(error: Any) -> str:
    """Say what failed without Triton's own text, which may name paths."""
    status = str(error.status() or "no answer").removeprefix("StatusCode.")
    return f"Triton answered {status}"
