"""Where a list of stages goes on."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from services.coordinator.workflow.stages import Stage
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id


def encode(stage: Stage) -> str:
    """Return the token of the page after a stage."""
    text = f"{stage.update_time.isoformat()}|{stage.stage_id}"
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii")


def decode(token: str) -> tuple[datetime, str] | None:
    """Return change time and id of the stage a page begins after; None for the first page.

    Raises:
        InvalidFieldError: It is not one of our tokens.
    """
    if not token:
        return None
    try:
        text = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
        time, _, stage_id = text.partition("|")
        if is_id(stage_id):
            return datetime.fromisoformat(time), stage_id
    except (ValueError, binascii.Error):
        pass
    raise InvalidFieldError("page_token", "a token of ours")
