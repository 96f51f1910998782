"""Projects, presets, options and states of de-identification by the names that people type."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from heimdallr.deid.v1 import profile_pb2, project_service_pb2, review_service_pb2
from heimdallr.deid.v1.project_service_pb2_grpc import DeidProjectServiceStub
from services.cli.connection import EXIT_NOT_FOUND
from services.runtime.client import MeshChannel
from services.runtime.ids import is_id

ProjectOption = Annotated[str, typer.Option("--project", help="The project, by name or id.")]
ProjectArgument = Annotated[str, typer.Argument(help="The project, by name or id.")]

PRESETS: Final = {
    "basic": profile_pb2.PROFILE_PRESET_BASIC,
    "research": profile_pb2.PROFILE_PRESET_RESEARCH,
    "external-model": profile_pb2.PROFILE_PRESET_EXTERNAL_MODEL,
}
STATES: Final = {
    "released": review_service_pb2.OBJECT_STATE_RELEASED,
    "held": review_service_pb2.OBJECT_STATE_HELD,
    "approved": review_service_pb2.OBJECT_STATE_APPROVED,
    "rejected": review_service_pb2.OBJECT_STATE_REJECTED,
}
_OPTION_PREFIX: Final = "PROFILE_OPTION_"
OPTIONS: Final = {
    name.removeprefix(_OPTION_PREFIX).lower().replace("_", "-"): value
    for name, value in profile_pb2.ProfileOption.items()
    if value != profile_pb2.PROFILE_OPTION_UNSPECIFIED
}


def preset_named(name: str) -> profile_pb2.ProfilePreset.ValueType:
    """Return a preset by its name.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    if name not in PRESETS:
        raise typer.BadParameter(f"one of {', '.join(PRESETS)}", param_hint="--preset")
    return PRESETS[name]


def options_named(names: list[str], hint: str) -> list[profile_pb2.ProfileOption.ValueType]:
    """Return options by their names, e.g. "retain-uids".

    Raises:
        typer.BadParameter: There is none of that name.
    """
    chosen = [name.strip().lower().replace("_", "-") for name in names]
    for name in chosen:
        if name not in OPTIONS:
            raise typer.BadParameter(f"{name}: one of {', '.join(OPTIONS)}", param_hint=hint)
    return [OPTIONS[name] for name in chosen]


def state_named(name: str) -> review_service_pb2.ObjectState.ValueType:
    """Return a state of objects by its name; "" is any.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    if not name:
        return review_service_pb2.OBJECT_STATE_UNSPECIFIED
    if name not in STATES:
        raise typer.BadParameter(f"one of {', '.join(STATES)}", param_hint="--state")
    return STATES[name]


def preset_name(preset: int) -> str:
    """Return the name of a preset; of one without a name that of the basic profile."""
    return next((name for name, value in PRESETS.items() if value == preset), "basic")


def option_name(option: int) -> str:
    """Return the name of an option."""
    return next((name for name, value in OPTIONS.items() if value == option), str(option))


def state_name(state: int) -> str:
    """Return the name of a state of objects."""
    return next((name for name, value in STATES.items() if value == state), "any")


async def get_project(channel: MeshChannel, text: str) -> project_service_pb2.GetProjectResponse:
    """Return a project with its summary, by its name or id.

    Raises:
        typer.Exit: There is none of that name.
    """
    stub = DeidProjectServiceStub(channel)
    project_id = text if is_id(text) else ""
    if not project_id:
        listed = await stub.ListProjects(project_service_pb2.ListProjectsRequest())
        project_id = next((one.project_id for one in listed.projects if one.name == text), "")
    if not project_id:
        typer.secho("no such project: see `heimdallr deid projects list`", err=True, fg="red")
        raise typer.Exit(EXIT_NOT_FOUND)
    return await stub.GetProject(project_service_pb2.GetProjectRequest(project_id=project_id))


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message as JSON has it, fields by their names in the contract."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
