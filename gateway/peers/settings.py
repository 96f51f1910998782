"""Settings of what we ask of peers, read once."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ExchangeSettings(BaseSettings):
    """Bounds on exchanges with peers.

    Attributes:
        max_exchanges: Exchanges at once; more are refused.
        connect_timeout_s: Time to resolve a name, to connect and to agree on TLS, each.
        associate_timeout_s: Time a peer has to accept an association.
        message_timeout_s: Time a peer has to answer, and between two of its answers.
        commit_timeout_s: Time a peer has to commit to storage.
        release_timeout_s: Time de-identification has before something is sent outside.
        max_pdu_length: Longest P-DATA-TF variable field that we take, in bytes.
        max_message_bytes: Largest identifier of a match, or part of an HTTP answer that is no
            DICOM file, in bytes.
        max_answer_bytes: Largest page of matches by HTTP, in bytes.
        max_file_bytes: Largest DICOM file that is fetched.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEIMDALLR_GATEWAY_PEERS_", frozen=True, extra="ignore"
    )

    max_exchanges: int = Field(default=16, ge=1, le=128)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    associate_timeout_s: float = Field(default=30.0, gt=0)
    message_timeout_s: float = Field(default=60.0, gt=0)
    commit_timeout_s: float = Field(default=120.0, gt=0)
    release_timeout_s: float = Field(default=3600.0, gt=0)
    max_pdu_length: int = Field(default=128 << 10, ge=4096, le=1 << 20)
    max_message_bytes: int = Field(default=1 << 20, ge=1 << 12, le=64 << 20)
    max_answer_bytes: int = Field(default=32 << 20, ge=1 << 16, le=256 << 20)
    max_file_bytes: int = Field(default=4 << 30, ge=1 << 20)
