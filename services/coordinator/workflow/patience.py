"""Background work that outlives its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from services.runtime import logs
from services.runtime.errors import DependencyUnavailableError, ServiceError

FAILED: Final = "workflow.loop_failed"
AWAY: Final = "workflow.dependency_away"
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_UNEXPECTED_FAILURES: Final = 5


async def keep_going(task: str, step: Callable[[], Awaitable[None]]) -> None:
    """Run a step again and again until cancelled; after a failure with a growing pause."""
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            await step()
            pause_s = _FIRST_PAUSE_S
            continue
        except DependencyUnavailableError as error:
            dependency = error.metadata.get("dependency", "")
            logs.get_logger().warning(AWAY, task=task, dependency=dependency, delay_s=pause_s)
        except Exception:
            logs.get_logger().exception(FAILED, task=task, delay_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


async def persist(write: Callable[[], Awaitable[None]]) -> None:
    """Write something until the database takes it; what is written must bear repetition.

    Other failures of the database, such as a deadlock, are borne a few times. Errors of ours that
    say no are raised at once.
    """
    pause_s = _FIRST_PAUSE_S
    patience = _UNEXPECTED_FAILURES
    while True:
        try:
            return await write()
        except DependencyUnavailableError:
            pass
        except ServiceError:
            raise
        except Exception as error:
            patience -= 1
            if patience == 0:
                raise
            logs.get_logger().warning(FAILED, task="persist", **logs.failure(error))
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
