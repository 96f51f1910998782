"""Settings of sources, read once."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SourceSettings(BaseSettings):
    """How a gateway works on sources.

    Attributes:
        watch_roots: Folders in which folders may be watched, separated by commas in JSON; none
            watches the folder ``watch`` of the gateway's own data.
        at_once: Sources that are worked on at the same time.
        ask_every_s: Pause before it is asked again whether a source is due.
        hold_s: Time after which another gateway takes over from one that died.
        max_files: Most files of a folder that one turn takes.
        max_depth: Folders within a watched folder that are looked into.
        fetches: Instances that are fetched from an Orthanc at the same time.
        timeout_s: Time that an Orthanc has to answer, and between two pieces of an answer.
        max_answer_bytes: Longest list that an Orthanc may answer with.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_SOURCES_", frozen=True, extra="ignore")

    watch_roots: tuple[Path, ...] = ()
    at_once: int = Field(default=4, ge=1, le=64)
    ask_every_s: float = Field(default=2.0, gt=0)
    hold_s: int = Field(default=60, ge=5, le=600)
    max_files: int = Field(default=5000, ge=1)
    max_depth: int = Field(default=16, ge=0)
    fetches: int = Field(default=4, ge=1, le=32)
    timeout_s: float = Field(default=60.0, gt=0)
    max_answer_bytes: int = Field(default=64 << 20, ge=1 << 16)
