"""Settings of uploads, read once."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class UploadSettings(BaseSettings):
    """Bounds on what may be uploaded.

    Attributes:
        max_bytes: Largest upload.
        max_open: Uploads at once that are not unpacked yet.
        max_open_per_caller: The same, for one caller.
        free_bytes: Room that stays free on the disk beside what open uploads still need.
        expire_after_s: Time after which an upload that stands still is forgotten.
        outcome_kept_s: Time for which it can be read what became of an upload.
        outcome_kept_count: Most of such outcomes; the oldest give way.
        idle_timeout_s: Longest silence of a body; what came before it is kept.
        max_entries: Most entries of an archive.
        max_inflated_bytes: Largest sum of the sizes of an archive's entries.
        max_ratio: How many times its own size an archive may grow to, once past ``ratio_from``.
        ratio_from_bytes: Archives that grow to no more than this may have any ratio.
        workers: Entries that are staged at the same time.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_UPLOAD_", frozen=True, extra="ignore")

    max_bytes: int = Field(default=64 << 30, ge=1)
    max_open: int = Field(default=256, ge=1)
    max_open_per_caller: int = Field(default=64, ge=1)
    free_bytes: int = Field(default=2 << 30, ge=0)
    expire_after_s: float = Field(default=48 * 3600.0, gt=0)
    outcome_kept_s: float = Field(default=7 * 24 * 3600.0, gt=0)
    outcome_kept_count: int = Field(default=1000, ge=0)
    idle_timeout_s: float = Field(default=60.0, gt=0)
    max_entries: int = Field(default=200_000, ge=1)
    max_inflated_bytes: int = Field(default=128 << 30, ge=1)
    max_ratio: int = Field(default=100, ge=1)
    ratio_from_bytes: int = Field(default=1 << 30, ge=0)
    workers: int = Field(default=4, ge=1, le=32)
