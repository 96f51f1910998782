"""``heimdallr replay``: let held work of a study run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.results import StudyArgument, get_study


def replay(
    uid: StudyArgument,
    data: DataOption,
    refused: Annotated[bool, typer.Option(help="Refused stages too, not held ones alone.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the held stages of a study again, and what depends on them.

    Exit codes: 0 replayed, 1 nothing is held, 3 nothing runs, 4 not found.
    """
    run(_replay(data, uid, refused=refused, as_json=as_json))


async def _replay(data: Path | None, uid: str, *, refused: bool, as_json: bool) -> int:
    wanted = {pb.STAGE_STATE_HELD} | ({pb.STAGE_STATE_REFUSED} if refused else set())
    async with mesh(data) as channel:
        study_id = (await get_study(channel, uid)).study.study_id
        stub = WorkflowServiceStub(channel)
        request = pb.GetStudyWorkflowRequest(study_id=study_id)
        workflow = (await stub.GetStudyWorkflow(request)).workflow
        stages = [
            stage
            for stage in workflow.stages
            if stage.state in wanted and stage.generation == workflow.generation
        ]
        for stage in stages:
            await stub.ReplayStage(pb.ReplayStageRequest(stage_id=stage.stage_id))
    if as_json:
        print_json([{"stage_id": stage.stage_id, "name": stage.name} for stage in stages])
    elif stages:
        typer.echo(f"Runs again: {', '.join(stage.name for stage in stages)}")
    else:
        typer.echo("Nothing is held.")
    return 0 if stages else EXIT_FAILED
