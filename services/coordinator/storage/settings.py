"""Settings of looking after what is stored."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StorageSettings(BaseSettings):
    """When garbage is collected and what is kept is read again.

    Attributes:
        grace_hours: Bytes younger than this are never judged, and what was set aside is not
            deleted before; longer than any instance waits between a gateway and its row.
        collect_every_hours: Time between two collections.
        collect_limit: Most blobs that one collection sets aside.
        scrub_every_days: Time between two scrubs.
        scrub_rate_bytes: Bytes that a scrub may read in a second; 0 means no limit.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_STORAGE_", frozen=True)

    grace_hours: float = Field(default=24.0, gt=0)
    collect_every_hours: float = Field(default=24.0, gt=0)
    collect_limit: int = Field(default=1_000_000, ge=1)
    scrub_every_days: float = Field(default=30.0, gt=0)
    scrub_rate_bytes: int = Field(default=32 << 20, ge=0)
