"""Settings of the reporting service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ReportingSettings(BaseSettings):
    """What reporting may use.

    Attributes:
        font_folder: Further fonts, for scripts that the bundled ones lack, e.g. Noto Sans CJK.
        at_once: Reports that are laid out at the same time.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEIMDALLR_REPORTING_", frozen=True, extra="ignore"
    )

    font_folder: Path | None = None
    at_once: int = Field(default=2, gt=0)
