"""The Triton client against a real Triton, healthy, dying and absent."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.analysis.errors import (
    ModelOutputInvalidError,
    ModelRefusedError,
    ModelUnavailableError,
)
from services.analysis.inference import OutputSpec, Tensors
from services.analysis.shared_memory import DEFAULT_PREFIX, FOLDER
from services.analysis.triton import TritonClient
from tests.support.triton import RunningTriton, free_ports, running_triton, stub_pids

pytestmark = pytest.mark.triton

SPACING = np.array([3.0, 2.0, 2.0], dtype=np.float32)
SHAPE = (40, 120, 150)


def block(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    hu = np.full(shape, -1000, dtype=np.int16)
    hu[:, 20:-20, 20:-20] = 50
    return hu


async def run(
    client: TritonClient,
    hu: NDArray[np.int16],
    *,
    spec: OutputSpec | None = None,
    timeout_s: float = 60.0,
) -> NDArray[np.uint8]:
    spec = spec or OutputSpec(hu.shape, np.dtype(np.uint8))
    inputs: Tensors = {"VOLUME_HU": hu, "SPACING_MM": SPACING}
    tensors = await client.infer("ct_tissue", inputs, {"LABELMAP": spec}, timeout_s=timeout_s)
    return tensors["LABELMAP"]


def regions() -> set[str]:
    return {path.name for path in FOLDER.glob(f"{DEFAULT_PREFIX}*")}


async def test_labels_come_back_through_shared_memory(triton: TritonClient) -> None:
    labelmap = await run(triton, block())

    assert (labelmap[:, 30:-30, 30:-30] == 5).all()
    assert (labelmap[:, :15] == 0).all()
    assert triton._is_local
    assert regions() == set()


async def test_labels_inside_the_message_are_the_same(triton: TritonClient) -> None:
    by_region = await run(triton, block())
    triton._is_local = False

    inline = await run(triton, block())

    assert np.array_equal(inline, by_region)


async def test_a_refused_input_names_the_rule(triton: TritonClient) -> None:
    inputs: Tensors = {"VOLUME_HU": block(), "SPACING_MM": SPACING * 0}
    outputs = {"LABELMAP": OutputSpec(SHAPE, np.dtype(np.uint8))}

    with pytest.raises(ModelRefusedError, match="SPACING_MM"):
        await triton.infer("ct_tissue", inputs, outputs, timeout_s=60)

    assert regions() == set()


@pytest.mark.parametrize(
    "spec",
    [
        OutputSpec((1, 2, 3), np.dtype(np.uint8)),
        OutputSpec((*SHAPE, 2), np.dtype(np.uint8)),
        OutputSpec(SHAPE, np.dtype(np.float32)),
    ],
)
async def test_an_output_of_another_shape_or_type_is_invalid(
    triton: TritonClient, spec: OutputSpec
) -> None:
    with pytest.raises(ModelOutputInvalidError):
        await run(triton, block(), spec=spec)

    assert regions() == set()


async def test_a_stub_killed_while_idle_is_replaced(
    triton: TritonClient, triton_server: RunningTriton
) -> None:
    await run(triton, block())
    for pid in stub_pids(triton_server):
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(ModelUnavailableError):
        await run(triton, block())

    assert (await run(triton, block())).any()


async def test_a_stub_killed_at_work_is_replaced(
    triton: TritonClient, triton_server: RunningTriton
) -> None:
    await triton.ensure_loaded("ct_tissue")
    large = block((200, 400, 400))
    call = asyncio.create_task(run(triton, large))
    await asyncio.sleep(0.8)
    assert not call.done()

    for pid in stub_pids(triton_server):
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(ModelUnavailableError):
        await call
    assert (await run(triton, block())).any()
    assert regions() == set()


async def test_a_caller_that_gives_up_leaves_no_region(triton: TritonClient) -> None:
    await triton.ensure_loaded("ct_tissue")
    call = asyncio.create_task(run(triton, block((100, 300, 300))))
    await asyncio.sleep(0.3)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    labelmap = await run(triton, block())

    assert labelmap.any()
    assert regions() == set()


async def test_no_answer_in_time_is_unavailable(triton: TritonClient) -> None:
    await triton.ensure_loaded("ct_tissue")

    with pytest.raises(ModelUnavailableError, match="in time"):
        await run(triton, block((100, 300, 300)), timeout_s=0.2)


async def test_closing_with_a_call_in_flight_leaves_triton_alive(
    triton_server: RunningTriton,
) -> None:
    first = TritonClient(triton_server.address)
    await first.ensure_loaded("ct_tissue")
    call = asyncio.create_task(run(first, block((100, 300, 300))))
    await asyncio.sleep(0.3)

    await first.close()
    with pytest.raises(asyncio.CancelledError):
        await call
    second = TritonClient(triton_server.address)
    labelmap = await run(second, block())
    await second.sweep()
    await second.close()

    assert labelmap.any()
    assert regions() == set()


async def test_an_unknown_model_cannot_be_loaded(triton: TritonClient) -> None:
    with pytest.raises(ModelUnavailableError):
        await triton.ensure_loaded("no_such_model")


async def test_an_absent_triton_is_unavailable() -> None:
    client = TritonClient(f"127.0.0.1:{free_ports()[0]}")

    with pytest.raises(ModelUnavailableError):
        await run(client, block(), timeout_s=5)

    await client.close()


async def test_a_triton_that_was_killed_is_used_again_once_it_is_back(tmp_path: Path) -> None:
    ports = free_ports()
    client = TritonClient(f"127.0.0.1:{ports[0]}")
    with running_triton(tmp_path, ports) as server:
        await run(client, block())
        call = asyncio.create_task(run(client, block((100, 300, 300))))
        await asyncio.sleep(0.3)
        for pid in (*stub_pids(server), server.pid):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelUnavailableError):
            await call

    for _ in range(5):
        with pytest.raises(ModelUnavailableError):
            await run(client, block(), timeout_s=5)
    with running_triton(tmp_path, ports):
        await asyncio.sleep(2.5)
        labelmap = await run(client, block())
        await client.close()

    assert labelmap.any()
    assert regions() == set()


async def test_the_event_loop_stays_free(triton: TritonClient) -> None:
    await triton.ensure_loaded("ct_tissue")
    loop = asyncio.get_running_loop()
    call = asyncio.create_task(run(triton, block((150, 400, 400))))
    worst = 0.0

    while not call.done():
        start = loop.time()
        await asyncio.sleep(0.01)
        worst = max(worst, loop.time() - start)

    await call
    assert worst < 0.5
