"""Settings of the analysis service, read once."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.analysis.analyzer import Limits
from services.analysis.shared_memory import DEFAULT_PREFIX


class AnalysisSettings(BaseSettings):
    """What the analysis service needs besides what every server does.

    Attributes:
        triton_address: Triton's gRPC address, "host:port".
        shm_prefix: Start of the names of the shared memory regions that pass volumes to Triton.
        model_repository: Folder of the models that Triton serves; their source is hashed. Read
            from HEIMDALLR_MODEL_REPOSITORY.
        max_nifti_bytes: Larger volumes are refused.
        max_voxels: Larger volumes are refused; an analysis takes about 12 bytes for each.
        concurrency: Analyses at once.
        model_timeout_s: Time for one run of a model, loading and waiting included.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEIMDALLR_ANALYSIS_", frozen=True, extra="ignore", protected_namespaces=()
    )

    triton_address: str = Field(pattern=r"^[^\s/]+:[0-9]{1,5}$")
    shm_prefix: str = Field(default=DEFAULT_PREFIX, pattern=r"^[A-Za-z0-9_-]{6,64}$")
    model_repository: Path = Field(
        default=Path(__file__).resolve().parents[2] / "triton_models",
        validation_alias="HEIMDALLR_MODEL_REPOSITORY",
    )
    max_nifti_bytes: int = Field(default=512 * 1024 * 1024, gt=0)
    max_voxels: int = Field(default=1 << 28, gt=0)
    concurrency: int = Field(default=1, gt=0)
    model_timeout_s: float = Field(default=300.0, gt=0)

    @property
    def limits(self) -> Limits:
        """Bounds of one analysis."""
        return Limits(
            nifti_bytes=self.max_nifti_bytes,
            voxels=self.max_voxels,
            concurrency=self.concurrency,
            timeout_s=self.model_timeout_s,
        )
