"""Settings of the worklist."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorklistSettings(BaseSettings):
    """How long what names patients is kept.

    Attributes:
        keep_days: Days after its start that a scheduled step is kept, and after its last change
            that a performed step is; and what was announced of a study that never came.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_WORKLIST_", frozen=True)

    keep_days: float = Field(default=180.0, gt=0)
