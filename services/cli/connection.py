"""How a command reaches a running stack, and how it ends when it cannot."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Never

import grpc
import typer

from services.cli.stack.credentials import OPERATOR
from services.cli.stack.layout import Layout
from services.cli.stack.settings import default_data_folder
from services.cli.stack.state import StackState, is_running, read_state
from services.runtime.client import MeshChannel, ServiceCallError, open_channel, typed_errors
from services.runtime.errors import ServiceError
from services.runtime.token_source import FileTokenSource

EXIT_FAILED: Final = 1
EXIT_NOT_RUNNING: Final = 3
EXIT_NOT_FOUND: Final = 4
_PEER_UNREACHABLE: Final = "ERROR_REASON_PEER_UNREACHABLE"

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Data folder of the stack.",
        default_factory=lambda: None,
        show_default=f"{default_data_folder()}, or that of `demo` where only it runs",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class NotRunningError(Exception):
    """No stack runs on the data folder."""


def demo_data_folder() -> Path:
    """Return where `demo` keeps its data unless told otherwise: beside that of `up`."""
    default = default_data_folder()
    return default.with_name(f"{default.name}-demo")


def running_stack(data: Path | None) -> StackState:
    """Return the state of the stack that runs on a data folder.

    Args:
        data: The folder; None for the default one, or for that of `demo` where only it runs.

    Raises:
        NotRunningError: None runs, or its folder may not be read by this user.
    """
    folder = default_data_folder() if data is None else data
    try:
        state = find_running(data)
    except PermissionError:
        raise NotRunningError(f"the data folder {folder} belongs to another user") from None
    if state is None:
        raise NotRunningError(f"nothing runs on {folder}: start it with `heimdallr up`")
    return state


def find_running(data: Path | None) -> StackState | None:
    """Return the state of the stack that `running_stack` would take; None if none runs.

    Raises:
        PermissionError: The folder may not be read by this user.
    """
    folders = [default_data_folder(), demo_data_folder()] if data is None else [data]
    for folder in folders:
        state = read_state(folder.expanduser().absolute())
        if state is not None and is_running(state):
            return state
    return None


@asynccontextmanager
async def mesh(data: Path | None) -> AsyncIterator[MeshChannel]:
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


def run(command: Coroutine[Any, Any, int], path: Path | None = None) -> Never:
    """Run a command to its end and leave with its exit code.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing runs, 4 not found.

    Args:
        command: The command.
        path: The file or folder that the user gave, for the sentence when it cannot be used.
    """
    try:
        with file_errors(path):
            code = asyncio.run(command)
    except NotRunningError as error:
        _fail(str(error), EXIT_NOT_RUNNING)
    except ServiceCallError as error:
        _fail(_sentence(error), _exit_code(error))
    except ServiceError as error:
        _fail(error.message, EXIT_FAILED)
    raise typer.Exit(code)


@contextmanager
def file_errors(path: Path | None = None) -> Iterator[None]:
    """Leave with one sentence when the system refuses a file or folder.

    Args:
        path: The one that the user gave; what failed may lie in it or above it.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _fail(file_sentence(error, path), EXIT_FAILED)


def file_sentence(error: OSError, path: Path | None) -> str:
    """Return in one sentence why a file or folder cannot be used; see `file_errors`."""
    why = (error.strerror or str(error) or type(error).__name__).lower()
    where = str(error.filename or "")
    if path is None:
        return f"cannot use {where}: {why}" if where else why
    return f"cannot use {path}: {why}" + (f" ({where})" if where not in {"", str(path)} else "")


def print_json(value: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _exit_code(error: ServiceCallError) -> int:
    if error.code is grpc.StatusCode.NOT_FOUND:
        return EXIT_NOT_FOUND
    return EXIT_NOT_RUNNING if _is_away(error) else EXIT_FAILED


def _is_away(error: ServiceCallError) -> bool:
    """Tell whether it is the stack that does not answer, and not a peer of it."""
    return error.code is grpc.StatusCode.UNAVAILABLE and error.reason != _PEER_UNREACHABLE


def _sentence(error: ServiceCallError) -> str:
    if _is_away(error):
        return "the stack does not answer: see `heimdallr status`"
    reason = error.reason.removeprefix("ERROR_REASON_").lower().replace("_", " ")
    text = error.text or error.code.name
    return f"{text} ({reason})" if reason and reason not in text.lower() else text


def _fail(sentence: str, code: int) -> Never:
    typer.secho(sentence, err=True, fg="red")
    raise typer.Exit(code)
