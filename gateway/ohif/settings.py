"""Settings of the viewer's site, read once."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OhifSettings(BaseSettings):
    """Where the viewer is.

    Attributes:
        folder: OHIF as ``make ohif`` leaves it.
        page_port: Port of our page, where people sign in.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_OHIF_", frozen=True, extra="ignore")

    folder: Path = Path(__file__).resolve().parents[2] / "deploy/ohif/dist"
    page_port: int | None = Field(default=None, ge=1, le=65535)
