"""Settings of DICOM associations beyond those of C-STORE, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.dimse.allowed import AllowedPeer, parse_allowed
from services.runtime.settings import Address


class DicomSettings(BaseSettings):
    """What associations need.

    Attributes:
        allowed: Who may associate, e.g. "CT1@10.1.2.3, *@10.2.0.0/16"; empty lets everybody.
        tls_address: Where peers connect by TLS, host:port; none is served without it.
        tls_certificate: Our certificate with its chain, PEM.
        tls_key: Its private key, PEM.
        tls_client_ca: Certificates that those of peers must descend from, PEM.
        tls_client_certificate: Whether a peer must show a certificate.
        tls_minimum: Oldest version of TLS that is spoken.
        user_identity: What users of peers have to show (PS3.7 D.3.3.7): "ignore" passes over it,
            "check" refuses what is no name and password of a person, "require" refuses peers
            that name nobody, too.
        recent_associations: How many ended associations the flight recorder keeps.
        recent_messages: How many messages it keeps of each, the last ones.
        commitment_requests: Requests for storage commitment that may wait.
        commitment_instances: Instances that these may name together.
        commitment_same_association_s: Time after which a report is sent on the association that
            asked for it, if it still stands.
        commitment_first_retry_s: Time until a report is tried again; it doubles each time.
        commitment_longest_retry_s: The longest such time.
        commitment_given_up_s: Time after which a report that nobody takes is dropped.
    """

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_DICOM_", frozen=True, extra="ignore")

    allowed: Annotated[tuple[AllowedPeer, ...], NoDecode] = ()
    tls_address: Address | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    tls_client_certificate: Literal["none", "optional", "required"] = "none"
    tls_minimum: Literal["1.2", "1.3"] = "1.2"
    user_identity: Literal["ignore", "check", "require"] = "ignore"
    recent_associations: int = Field(default=100, ge=0, le=10_000)
    recent_messages: int = Field(default=50, ge=1, le=1_000)
    commitment_requests: int = Field(default=1_000, ge=1)
    commitment_instances: int = Field(default=200_000, ge=1)
    commitment_same_association_s: float = Field(default=0.5, ge=0)
    commitment_first_retry_s: float = Field(default=2.0, gt=0)
    commitment_longest_retry_s: float = Field(default=600.0, gt=0)
    commitment_given_up_s: float = Field(default=24 * 3600.0, gt=0)

    @field_validator("allowed", mode="before")
    @classmethod
    def _entries(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(parse_allowed(part) for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if self.tls_address is None:
            return self
        if self.tls_certificate is None or self.tls_key is None:
            raise ValueError("TLS needs a certificate and its key")
        if self.tls_client_certificate != "none" and self.tls_client_ca is None:
            raise ValueError("certificates of peers need an authority to be checked by")
        return self
