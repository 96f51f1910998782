"""Settings of the de-identification service."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.deid.processes import ProcessLimits


def _default_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"heimdallr-deid-{os.getuid()}"


class DeidSettings(BaseSettings):
    """What de-identification may use.

    Attributes:
        keys_folder: Folder of the projects' keys; whoever reads it can link.
        work_folder: Local folder for files that live as long as one call.
        at_once: Series that are de-identified at the same time; as many streams besides.
        processes: Objects that are treated at the same time, each in a process.
        seconds: Longest time one object may take.
        memory_bytes: Most address space of such a process; an object is mapped, not read.
        object_bytes: Largest object that is treated.
        stream_objects: Objects of one stream that wait on disk at the same time.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_DEID_", frozen=True, extra="ignore")

    keys_folder: Path
    work_folder: Path = Field(default_factory=_default_folder)
    at_once: int = Field(default=4, gt=0)
    processes: int = Field(default_factory=lambda: os.cpu_count() or 2, gt=0)
    seconds: float = Field(default=600.0, gt=0)
    memory_bytes: int = Field(default=12 << 30, gt=0)
    object_bytes: int = Field(default=2 << 30, gt=0)
    stream_objects: int = Field(default=4, gt=0)

    @property
    def limits(self) -> ProcessLimits:
        """Limits of the processes that treat objects."""
        return ProcessLimits(self.processes, self.seconds, self.memory_bytes)
