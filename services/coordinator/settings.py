"""Settings of the coordinator."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """The database. Only the coordinator speaks to it.

    Attributes:
        dsn: libpq URL; may hold a password.
        pool_size: Most connections of this process.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_DATABASE_", frozen=True)

    dsn: SecretStr
    pool_size: int = Field(default=20, ge=6, le=200)


class CoordinatorSettings(BaseSettings):
    """What the coordinator needs besides.

    Attributes:
        issuer_key_file: Private key that signs tokens.
        peers_key_file: Key that seals what we show peers; beside the issuer's unless told.
        sign_in_file: Where the first administrator's one-time code is left.
        quiet_after_s: A study is complete when nothing came for this long, in seconds.
        released_after_s: The same once every association was released in order, in seconds.
        announced_after_s: A study that is short of what was announced goes on with what is there
            when nothing came for this long, in seconds.
        confirm_counts: Ask registered peers inside that send studies how many instances of them
            they have.
        event_retention_days: How long events can be watched again.
        heartbeat_s: Longest silence on a watch, in seconds.
        batch_size: Most instances in one transaction.
        stream_in_flight: Most envelopes of one gateway's stream that wait for their answer.
        stream_open_instances: Most instances of one stream whose chunks are arriving.
        stream_open_bytes: Most bytes that those instances announce together.
        outage_attempts: Attempts at a stage while a part of the system cannot be reached, with
            growing delays between them, before it is held for a person; 8 take two minutes.
        search_timeout_s: Longest time of one search in the index, in seconds.
        search_connections: Most of the pool's connections that searches use at once.
        stack_file: What the supervisor of this machine tells about its processes.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_COORDINATOR_", frozen=True)

    issuer_key_file: Path
    sign_in_file: Path
    quiet_after_s: float = Field(default=60.0, gt=0)
    released_after_s: float = Field(default=2.0, gt=0)
    announced_after_s: float = Field(default=600.0, gt=0)
    confirm_counts: bool = True
    event_retention_days: float = Field(default=7.0, gt=0)
    heartbeat_s: float = Field(default=15.0, gt=0)
    batch_size: int = Field(default=512, ge=1, le=4096)
    stream_in_flight: int = Field(default=1024, ge=1)
    stream_open_instances: int = Field(default=32, ge=1)
    stream_open_bytes: int = Field(default=8 << 30, ge=1)
    outage_attempts: int = Field(default=8, ge=1, le=100)
    search_timeout_s: float = Field(default=5.0, gt=0)
    search_connections: int = Field(default=6, ge=1)
    stack_file: Path | None = None
    peers_key_file: Path | None = None

    @property
    def peers_key(self) -> Path:
        """File of the key that seals credentials of peers."""
        return self.peers_key_file or self.issuer_key_file.with_name("peers.key")
