"""Settings of the conversion service."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.conversion.imaging_pool import PoolLimits
from services.conversion.process import Limits


def _default_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"heimdallr-conversion-{os.getuid()}"


class ConversionSettings(BaseSettings):
    """What conversion may use.

    Attributes:
        work_folder: Local folder for files that live as long as one call.
        at_once: Series that are converted at the same time.
        tool_seconds: Longest time one run of a tool may take.
        tool_memory_bytes: Most address space of a tool.
        tool_file_bytes: Largest file a tool may write.
        imaging_processes: Frames that are drawn or decoded at the same time, each in a process.
        imaging_seconds: Longest time one frame may take.
        imaging_memory_bytes: Most address space of such a process.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEIMDALLR_CONVERSION_", frozen=True, extra="ignore"
    )

    work_folder: Path = Field(default_factory=_default_folder)
    at_once: int = Field(default=2, gt=0)
    tool_seconds: float = Field(default=600.0, gt=0)
    tool_memory_bytes: int = Field(default=8 << 30, gt=0)
    tool_file_bytes: int = Field(default=8 << 30, gt=0)
    imaging_processes: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), gt=0)
    imaging_seconds: float = Field(default=60.0, gt=0)
    imaging_memory_bytes: int = Field(default=6 << 30, gt=0)

    @property
    def limits(self) -> Limits:
        """Limits of one run of a tool."""
        return Limits(self.tool_seconds, self.tool_memory_bytes, self.tool_file_bytes)

    @property
    def imaging_limits(self) -> PoolLimits:
        """Limits of the processes that work on pixels."""
        return PoolLimits(self.imaging_processes, self.imaging_seconds, self.imaging_memory_bytes)
