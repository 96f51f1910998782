"""``heimdallr demo``: send a phantom through everything, compare what comes out with the truth."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import grpc
import typer
from rich.console import Console
from rich.table import Table

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.imaging.v1.measurement_pb2 import Measurement
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.cli.connection import (
    EXIT_FAILED,
    JsonOption,
    demo_data_folder,
    find_running,
    mesh,
    print_json,
    run,
)
from services.cli.phantom import LungScaleOption, SeedOption
from services.cli.results import get_study, measurements, save_result
from services.cli.scu import Destination, send_files
from services.cli.stack import Stack, StackError, StackSettings
from services.cli.stack.state import Addresses
from services.cli.tables import literal
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel, ServiceCallError

TOLERANCE: Final = 0.03
"""Largest share by which a judged volume may miss the truth."""

JUDGED: Final = ("lungs", "bone", "body")
_ARRIVAL_TIMEOUT_S: Final = 60.0
_SETTLE_TIMEOUT_S: Final = 300.0
_EXIT_INTERRUPTED: Final = 130

_log = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measured volume beside the true one, both in mL; None where it was refused."""

    structure: str
    measured_ml: float | None
    true_ml: float
    refusal: str = ""

    @property
    def deviation(self) -> float | None:
        """Measured over true, less one."""
        return None if self.measured_ml is None else self.measured_ml / self.true_ml - 1

    @property
    def good(self) -> bool:
        """Whether it is near enough to the truth."""
        return self.deviation is not None and abs(self.deviation) <= TOLERANCE


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Data folder.", show_default=str(demo_data_folder()))
    ] = None,
    stop_after: Annotated[
        bool, typer.Option("--exit", help="Stop when the result is there.")
    ] = False,
    seed: SeedOption = 0,
    lung_scale: LungScaleOption = 1.0,
    http_port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    dicom_port: Annotated[int, typer.Option(min=1, max=65535)] = 11112,
    as_json: JsonOption = False,
) -> None:
    """Start everything, send a phantom, print measured against true volumes.

    Exit codes: 0 lungs, bone and body are within 3 % of the truth, 1 they are not or the stack
    did not start, 130 stopped before the result was there.
    """
    folder = (data or demo_data_folder()).expanduser().absolute()
    settings = StackSettings(data=folder, http_port=http_port, dicom_port=dicom_port)
    phantom = ChestCtPhantom(seed, lung_scale=lung_scale)
    command = _demo(settings, phantom, stop_after=stop_after, as_json=as_json)
    run(_until_signal(command), data or folder)


async def _until_signal(command: Coroutine[Any, Any, int]) -> int:
    """Run a command that a signal cancels, so that it stops what it started."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(command)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return _EXIT_INTERRUPTED


async def _demo(
    settings: StackSettings, phantom: ChestCtPhantom, *, stop_after: bool, as_json: bool
) -> int:
    try:
        async with _stack(settings) as addresses:
            code = await _through(settings.data, addresses, phantom, as_json=as_json)
            if not stop_after:
                _log.print(f"The stack stays up at {addresses.http}. Stop it with Ctrl-C.")
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            return code
    except StackError as error:
        _log.print(f"heimdallr demo: {error}", style="red", markup=False)
        return EXIT_FAILED


@asynccontextmanager
async def _stack(settings: StackSettings) -> AsyncIterator[Addresses]:
    running = find_running(settings.data)
    if running is not None:
        yield running.addresses
        return
    async with Stack(settings) as stack:
        with _log.status("Starting the stack"):
            await stack.ready()
        for name, reason in stack.missing.items():
            _log.print(f"without {name}: {reason}", style="yellow", markup=False)
        if link := stack.take_sign_in_link():
            _log.print("Sign in once as administrator with this link:")
            _log.print(link, style="bold", soft_wrap=True, markup=False)
        yield stack.addresses


async def _through(
    data: Path, addresses: Addresses, phantom: ChestCtPhantom, *, as_json: bool
) -> int:
    study = PhantomStudy()
    await _send(addresses, phantom, study)
    async with mesh(data) as channel:
        found = await _arrived(channel, study.study_instance_uid)
        state = await _settled(channel, found.study_id)
        stub = WorkflowServiceStub(channel)
        results = await stub.GetStudyResults(pb.GetStudyResultsRequest(study_id=found.study_id))
        pdf = await _save_report(channel, data, found.study_id, results)
    compared = compare(measurements(results), phantom.true_volumes_ml())
    _print(compared, found, state, pdf, addresses, as_json=as_json)
    judged = [comparison for comparison in compared if comparison.structure in JUDGED]
    return 0 if len(judged) == len(JUDGED) and all(c.good for c in judged) else EXIT_FAILED


async def _send(addresses: Addresses, phantom: ChestCtPhantom, study: PhantomStudy) -> None:
    destination = Destination(addresses.dicom_host, addresses.dicom_port, addresses.ae_title)
    with tempfile.TemporaryDirectory(prefix="heimdallr-demo-") as folder:
        with _log.status("Drawing the phantom"):
            files = await asyncio.to_thread(write_series, phantom, Path(folder), study)
        with _log.status(f"Sending {len(files)} slices by C-STORE"):
            outcomes = await asyncio.to_thread(send_files, files, destination)
    refused = [outcome.reason for outcome in outcomes if not outcome.stored]
    if refused:
        raise StackError(f"{len(refused)} of {len(files)} slices were not stored: {refused[0]}")


async def _arrived(channel: MeshChannel, uid: str) -> archive_pb.Study:
    ends = asyncio.get_running_loop().time() + _ARRIVAL_TIMEOUT_S
    while asyncio.get_running_loop().time() < ends:
        try:
            return (await get_study(channel, uid)).study
        except ServiceCallError as error:
            if error.code is not grpc.StatusCode.NOT_FOUND:
                raise
        await asyncio.sleep(0.2)
    raise StackError(f"the study was sent and is not known after {_ARRIVAL_TIMEOUT_S:.0f} s")


async def _settled(channel: MeshChannel, study_id: str) -> pb.StudyWorkflow:
    request = pb.WatchStudyWorkflowRequest(study_id=study_id, until_settled=True)
    workflow = pb.StudyWorkflow(study_id=study_id)
    with _log.status("Waiting for the study to be complete") as status:
        watch = WorkflowServiceStub(channel).WatchStudyWorkflow(request, timeout=_SETTLE_TIMEOUT_S)
        async for message in watch:
            workflow = message.workflow
            status.update(_activity(workflow))
    return workflow


def _activity(workflow: pb.StudyWorkflow) -> str:
    running = [s.name for s in workflow.stages if s.state == pb.STAGE_STATE_RUNNING]
    return literal(", ".join(running or [wait.text for wait in workflow.waits]) or "Working")


async def _save_report(
    channel: MeshChannel, data: Path, study_id: str, results: pb.GetStudyResultsResponse
) -> Path | None:
    if not results.HasField("report"):
        return None
    folder = data / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"report-{study_id}.pdf"
    await save_result(channel, study_id, results.report.pdf, path)
    return path


def compare(measured: list[Measurement], true_ml: dict[str, float]) -> list[Comparison]:
    """Put each measured volume beside the true one of the same structure."""
    volumes = {
        m.structure: m for m in measured if m.name.endswith(".volume") and m.structure in true_ml
    }
    return [
        Comparison(
            structure,
            m.value.number if m.WhichOneof("outcome") == "value" else None,
            true_ml[structure],
            m.refusal.text,
        )
        for structure, m in volumes.items()
    ]


def _print(
    compared: list[Comparison],
    study: archive_pb.Study,
    workflow: pb.StudyWorkflow,
    pdf: Path | None,
    addresses: Addresses,
    *,
    as_json: bool,
) -> None:
    state = archive_pb.StudyState.Name(workflow.state).removeprefix("STUDY_STATE_").lower()
    if as_json:
        print_json(
            {
                "study_id": study.study_id,
                "state": state,
                "report": str(pdf or ""),
                "url": f"{addresses.http}/studies/{study.study_id}",
                "volumes": [
                    {
                        "structure": c.structure,
                        "measured_ml": c.measured_ml,
                        "true_ml": c.true_ml,
                        "refusal": c.refusal,
                    }
                    for c in compared
                ],
            }
        )
        return
    console = Console(highlight=False)
    console.print(_table(compared))
    for stage in workflow.stages:
        if stage.HasField("reason"):
            console.print(f"{stage.name}: {literal(stage.reason.text)}", style="yellow")
    console.print(f"study   {study.study_id} is {state}")
    console.print(f"report  {pdf or 'none'}", soft_wrap=True)
    console.print(f"page    {addresses.http}/studies/{study.study_id}", soft_wrap=True)


def _table(compared: list[Comparison]) -> Table:
    table = Table("structure", "measured mL", "true mL", "off by", title="Phantom, volumes")
    for c in compared:
        off = "refused" if c.deviation is None else f"{c.deviation:+.1%}"
        judged = c.structure in JUDGED
        style = ("green" if c.good else "red") if judged else "dim"
        measured = "" if c.measured_ml is None else f"{c.measured_ml:,.1f}"
        table.add_row(c.structure, measured, f"{c.true_ml:,.1f}", off, style=style)
    return table
