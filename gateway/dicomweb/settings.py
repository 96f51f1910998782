"""Settings of DICOMweb, read once."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DicomwebSettings(BaseSettings):
    """Bounds on what DICOMweb takes and gives.

    Attributes:
        cache_folder: Folder of made pictures and metadata; the journal's unless given.
        cache_bytes: Most that it may hold; the least used give way. 0 keeps nothing.
        cache_hours: Longest time that something stays there.
        max_results: Most matches of one search; more are told by a Warning.
        max_parts: Most parts of one STOW-RS request.
        max_part_header_bytes: Longest headers of one part.
        max_request_bytes: Longest body of one STOW-RS request.
        max_stores: STOW-RS requests that are taken at the same time.
        body_timeout_s: Longest silence within a request's body.
        locate_s: How long it is remembered for a caller where the instances of a series are.
        max_frames: Most frames of one request.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_DICOMWEB_", frozen=True, extra="ignore")

    cache_folder: Path | None = None
    cache_bytes: int = Field(default=1 << 30, ge=0)
    cache_hours: float = Field(default=24.0, gt=0)
    max_results: int = Field(default=1000, ge=1, le=100_000)
    max_parts: int = Field(default=5000, ge=1)
    max_part_header_bytes: int = Field(default=8 << 10, ge=256)
    max_request_bytes: int = Field(default=32 << 30, ge=1 << 20)
    max_stores: int = Field(default=16, ge=1)
    body_timeout_s: float = Field(default=60.0, gt=0)
    locate_s: float = Field(default=10.0, ge=0)
    max_frames: int = Field(default=1000, ge=1, le=1000)
