"""``heimdallr complete``: a person says that a study is complete."""

from __future__ import annotations

from pathlib import Path

import typer
from google.protobuf.json_format import MessageToDict

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import completeness_service_pb2 as pb
from heimdallr.workflow.v1.completeness_service_pb2_grpc import CompletenessServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.results import StudyArgument, get_study


def complete(uid: StudyArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Treat a study that is still arriving as complete, so that work on it begins.

    What comes later opens a new generation. A study that is complete already stays as it is.
    Exit codes: 0 it is complete, 3 nothing runs, 4 not found.
    """
    run(_complete(data, uid, as_json=as_json))


async def _complete(data: Path | None, uid: str, *, as_json: bool) -> int:
    async with mesh(data) as channel:
        study_id = (await get_study(channel, uid)).study.study_id
        request = pb.CompleteStudyRequest(study_id=study_id)
        done = await CompletenessServiceStub(channel).CompleteStudy(request)
    if as_json:
        print_json(MessageToDict(done, preserving_proto_field_name=True))
    elif done.evidence == archive_pb.EVIDENCE_PERSON:
        typer.echo("Complete: a person said so.")
    else:
        word = archive_pb.Evidence.Name(done.evidence).removeprefix("EVIDENCE_").lower()
        typer.echo(f"It was complete already; evidence: {word}.")
    return 0
