"""Settings of retention."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetentionSettings(BaseSettings):
    """When rules are applied.

    Attributes:
        rules_every_minutes: Time between two rounds of all rules.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_RETENTION_", frozen=True)

    rules_every_minutes: float = Field(default=60.0, gt=0)
