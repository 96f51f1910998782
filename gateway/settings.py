"""Settings of the gateway, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.settings import Address


class GatewaySettings(BaseSettings):
    """What the gateway needs beside the settings of every server.

    Attributes:
        dicom_address: Where DICOM peers connect, host:port; port 0 takes a free one.
        ae_title: Our AE title.
        require_called_ae_title: Refuse peers that call another AE title.
        journal_folder: Folder of the journal, and of the quarantine in it.
        intake_address: The coordinator's own address, or the mesh's.
        http_listen: Unix socket of the HTTP side; none is served without it.
        page_folder: The built dashboard.
        holder: Name of this gateway, unique among those that share a blob store.
        spool: Folder where instances wait until the coordinator has them, where the blob store is
            not a folder of this machine; nothing else may lie there. ``content`` is "chunks" then.
        content: "staged" where the coordinator reads the same blob store, else "chunks".
        max_associations: Associations at once; more are refused for the moment.
        max_associations_per_address: The same, for one peer address.
        max_waiting: Connections that have not asked for an association yet.
        max_waiting_per_address: The same, for one peer address.
        max_pdu_length: Longest P-DATA-TF variable field that we take, in bytes.
        max_object_bytes: Largest data set that is taken.
        mismatched_files: What becomes of a file whose file meta information names another
            instance than its data set: "refuse", or "take" as what the data set says.
        negotiate_timeout_s: Time from connecting to a whole A-ASSOCIATE-RQ (ARTIM).
        idle_timeout_s: Time that an association may be silent.
        pdu_timeout_s: Time that one PDU may take, and a peer to take our answer.
        answer_timeout_s: Time the coordinator has to answer, after which it counts as away.
        journal_bytes: Most that the journal may hold.
        quarantine_bytes: Most that refused objects may take; the oldest give way.
        quarantine_count: The same as a number of objects.
        storage_threads: Instances that are written and flushed at the same time.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_GATEWAY_", frozen=True, extra="ignore")

    dicom_address: Address = "127.0.0.1:11112"
    ae_title: str = Field(default="HEIMDALLR", pattern=r"^[A-Za-z0-9_.-][A-Za-z0-9_. -]{0,15}$")
    require_called_ae_title: bool = False
    journal_folder: Path
    intake_address: Address
    http_listen: Address | None = None
    page_folder: Path = Path(__file__).resolve().parents[1] / "services/dashboard/dist"
    holder: str = Field(default="gateway", pattern=r"^[a-z0-9-]{1,64}$")
    spool: Path | None = None
    content: Literal["staged", "chunks"] = "staged"
    max_associations: int = Field(default=100, ge=1)
    max_associations_per_address: int = Field(default=50, ge=1)
    max_waiting: int = Field(default=256, ge=1)
    max_waiting_per_address: int = Field(default=64, ge=1)
    max_pdu_length: int = Field(default=128 << 10, ge=4096, le=1 << 20)
    max_object_bytes: int = Field(default=4 << 30, ge=1 << 20)
    mismatched_files: Literal["refuse", "take"] = "refuse"
    negotiate_timeout_s: float = Field(default=30.0, gt=0)
    idle_timeout_s: float = Field(default=120.0, gt=0)
    pdu_timeout_s: float = Field(default=30.0, gt=0)
    answer_timeout_s: float = Field(default=10.0, gt=0)
    journal_bytes: int = Field(default=1 << 30, ge=1 << 16)
    quarantine_bytes: int = Field(default=1 << 30, ge=0)
    quarantine_count: int = Field(default=1000, ge=0)
    storage_threads: int = Field(default=16, ge=1, le=64)
