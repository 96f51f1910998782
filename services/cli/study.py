"""``heimdallr study``: what is known of one study, and what was made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console, Group
from rich.live import Live

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.results import StudyArgument, get_study, measurements, save_result
from services.cli.tables import (
    literal,
    measurements_table,
    stages_table,
    studies_table,
    study_notes,
    why_nothing_was_measured,
)
from services.runtime.client import MeshChannel


def study(
    uid: StudyArgument,
    data: DataOption,
    watch: Annotated[bool, typer.Option(help="Show progress until it is ready or held.")] = False,
    pdf: Annotated[Path | None, typer.Option(help="Write the report's PDF to this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a study: state, stages, measurements, refusals and report."""
    run(_show(data, uid, watch=watch, pdf=pdf, as_json=as_json), pdf)


async def _show(
    data: Path | None, uid: str, *, watch: bool, pdf: Path | None, as_json: bool
) -> int:
    async with mesh(data) as channel:
        found = await get_study(channel, uid)
        stub = WorkflowServiceStub(channel)
        if watch:
            await _watch(channel, found.study.study_id, quiet=as_json)
            found = await get_study(channel, uid)
        study_id = found.study.study_id
        workflow = await stub.GetStudyWorkflow(pb.GetStudyWorkflowRequest(study_id=study_id))
        results = await stub.GetStudyResults(pb.GetStudyResultsRequest(study_id=study_id))
        if pdf is not None and results.HasField("report"):
            await save_result(channel, study_id, results.report.pdf, pdf)
    if as_json:
        _print_json(found, workflow.workflow, results)
    else:
        _print(found, workflow.workflow, results)
    if pdf is not None and not results.HasField("report"):
        typer.secho("There is no report yet.", err=True, fg="red")
        return 1
    return 0


async def _watch(channel: MeshChannel, study_id: str, *, quiet: bool) -> None:
    request = pb.WatchStudyWorkflowRequest(study_id=study_id, until_settled=True)
    with Live(console=Console(stderr=True, quiet=quiet), auto_refresh=False) as live:
        async for message in WorkflowServiceStub(channel).WatchStudyWorkflow(request):
            live.update(_progress(message.workflow), refresh=True)


def _progress(workflow: pb.StudyWorkflow) -> Group:
    waits = [literal(wait.text) for wait in workflow.waits]
    return Group(*([stages_table(workflow)] if workflow.stages else []), *waits)


def _print_json(
    found: archive_pb.GetStudyResponse,
    workflow: pb.StudyWorkflow,
    results: pb.GetStudyResultsResponse,
) -> None:
    parts = {"study": found, "workflow": workflow, "results": results}
    print_json(
        {
            name: MessageToDict(message, preserving_proto_field_name=True)
            for name, message in parts.items()
        }
    )


def _print(
    found: archive_pb.GetStudyResponse,
    workflow: pb.StudyWorkflow,
    results: pb.GetStudyResultsResponse,
) -> None:
    console = Console(highlight=False)
    console.print(studies_table([found.study], console.width))
    console.print(f"Study Instance UID {literal(found.study.study_instance_uid)}", soft_wrap=True)
    console.print(_progress(workflow))
    for note in study_notes(found.study, workflow):
        console.print(note, style="yellow")
    measured = measurements(results)
    if measured:
        console.print(measurements_table(measured))
        console.print("Preliminary: not signed by a person. Not a medical device.", style="dim")
    else:
        for line in why_nothing_was_measured(workflow.plan, found.series):
            console.print(line)
