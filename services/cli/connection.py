"""How a command reaches a running stack, and how it ends when it cannot."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Never

import grpc
import typer

from services.cli.stack.credentials import OPERATOR
from services.cli.stack.layout import Layout
from services.cli.stack.settings import default_data_folder
from services.cli.stack.state import StackState, read_state
from services.runtime.client import MeshChannel, ServiceCallError, open_channel, typed_errors
from services.runtime.errors import ServiceError
from services.runtime.token_source import FileTokenSource

EXIT_FAILED: Final = 1
EXIT_NOT_RUNNING: Final = 3
EXIT_NOT_FOUND: Final = 4

DataOption = Annotated[
    Path,
    typer.Option("--data", help="Data folder of the stack.", default_factory=default_data_folder),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class NotRunningError(Exception):
    """No stack runs on the data folder."""


def running_stack(data: Path) -> StackState:
    """Return the state of the stack that runs on a data folder.

    Raises:
        NotRunningError: None runs, or its folder may not be read by this user.
    """
    try:
        state = read_state(data.expanduser().absolute())
    except PermissionError:
        raise NotRunningError(f"the data folder {data} belongs to another user") from None
    if state is None:
        raise NotRunningError(f"nothing runs on {data}: start it with `heimdallr up`")
    return state


@asynccontextmanager
async def mesh(data: Path) -> AsyncIterator[MeshChannel]:
    """Open a channel to the mesh as the owner of the data folder; errors come typed.

    Raises:
        NotRunningError: No stack runs there.
        ServiceCallError: A call failed.
    """
    state = running_stack(data)
    layout = Layout(Path(state.data), Path(state.run))
    source = FileTokenSource(layout.token(OPERATOR))
    async with open_channel(state.addresses.mesh, source) as channel:
        with typed_errors():
            yield channel


def run(command: Coroutine[Any, Any, int]) -> Never:
    """Run a command to its end and leave with its exit code.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing runs, 4 not found.
    """
    try:
        code = asyncio.run(command)
    except NotRunningError as error:
        _fail(str(error), EXIT_NOT_RUNNING)
    except ServiceCallError as error:
        _fail(_sentence(error), _exit_code(error.code))
    except ServiceError as error:
        _fail(error.message, EXIT_FAILED)
    raise typer.Exit(code)


def print_json(value: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _exit_code(code: grpc.StatusCode) -> int:
    if code is grpc.StatusCode.NOT_FOUND:
        return EXIT_NOT_FOUND
    return EXIT_NOT_RUNNING if code is grpc.StatusCode.UNAVAILABLE else EXIT_FAILED


def _sentence(error: ServiceCallError) -> str:
    if error.code is grpc.StatusCode.UNAVAILABLE:
        return "the stack does not answer: see `heimdallr status`"
    reason = error.reason.removeprefix("ERROR_REASON_").lower().replace("_", " ")
    return f"{error.text or error.code.name} ({reason})" if reason else error.text


def _fail(sentence: str, code: int) -> Never:
    typer.secho(sentence, err=True, fg="red")
    raise typer.Exit(code)
