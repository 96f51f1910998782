"""``heimdallr delete``: delete a study with all that belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict

from heimdallr.retention.v1 import retention_service_pb2 as pb
from heimdallr.retention.v1.retention_service_pb2_grpc import RetentionServiceStub
from services.cli.connection import EXIT_FAILED, DataOption, JsonOption, mesh, print_json, run
from services.cli.results import StudyArgument, get_study
from services.cli.sizes import size_text

_KEEPERS: Final = {
    pb.KEEPER_HOLD: "somebody holds it: `heimdallr retention release`",
    pb.KEEPER_RECEIVING: "instances are arriving",
    pb.KEEPER_WORK: "work on it waits or runs",
}


def delete(
    uid: StudyArgument,
    data: DataOption,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; without, only tell.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a study: its images, work, results and reports. Without --yes, tell what would go.

    The bytes leave the disk with later collections of garbage, one to two days after.
    Exit codes: 0 done or told, 1 kept by something, 3 nothing runs, 4 not found.
    """
    run(_delete(data, uid, yes=yes, as_json=as_json))


async def _delete(data: Path | None, uid: str, *, yes: bool, as_json: bool) -> int:
    async with mesh(data) as channel:
        study_id = (await get_study(channel, uid)).study.study_id
        stub = RetentionServiceStub(channel)
        seen = await stub.PreviewDeletion(pb.PreviewDeletionRequest(study_id=study_id))
        deleted = yes and not seen.keepers
        scope = seen.scope
        if deleted:
            scope = (await stub.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))).scope
    if as_json:
        print_json(
            {
                "deleted": deleted,
                "scope": MessageToDict(
                    scope,
                    preserving_proto_field_name=True,
                    always_print_fields_with_no_presence=True,
                ),
                "keepers": [pb.Keeper.Name(keeper) for keeper in seen.keepers],
            }
        )
    else:
        typer.echo(_sentence(scope, deleted=deleted))
        for keeper in seen.keepers:
            typer.echo(f"It is kept: {_KEEPERS[keeper]}.")
        if not yes and not seen.keepers:
            typer.echo("Nothing was deleted: say --yes to do it.")
    return EXIT_FAILED if seen.keepers else 0


def _sentence(scope: pb.DeletionScope, *, deleted: bool) -> str:
    what = (
        f"{scope.instance_count + scope.conflict_count} images in {scope.series_count} series and"
        f" {scope.result_count} files of results, {size_text(scope.size_bytes)}"
    )
    return f"Deleted: {what}." if deleted else f"Would delete: {what}."
