"""Where each file of a stack lies: lasting ones in the data folder, live ones in another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths of one stack.

    Attributes:
        data: The data folder; survives a stop.
        run: The runtime folder: sockets, tokens and state of the running stack.
    """

    data: Path
    run: Path

    def socket(self, name: str) -> Path:
        """Return the Unix socket of a process, ``mesh``, ``envoy-admin`` or ``gateway-http``."""
        return self.run / f"{name}.sock"

    def token(self, name: str) -> Path:
        """Return the file with the service token of a process."""
        return self.run / "tokens" / f"{name}.jwt"

    def log(self, name: str) -> Path:
        """Return the current log file of a process."""
        return self.data / "logs" / f"{name}.log"

    @property
    def jwks(self) -> Path:
        """Public keys with which each service checks tokens."""
        return self.run / "jwks.json"

    @property
    def issuer_key(self) -> Path:
        """Private key that signs tokens."""
        return self.data / "keys" / "issuer.pem"

    @property
    def tls_certificate(self) -> Path:
        """Certificate of the public listener, where we made it."""
        return self.data / "keys" / "tls.crt"

    @property
    def tls_key(self) -> Path:
        """Its private key."""
        return self.data / "keys" / "tls.key"

    def identity(self, name: str) -> Path:
        """Return the folder of a process's certificate for mutual TLS."""
        return self.data / "keys" / "mesh" / name

    @property
    def deid_keys(self) -> Path:
        """Keys of de-identification projects; who reads one can link a pseudonym to a person."""
        return self.data / "keys" / "deid"

    @property
    def sign_in(self) -> Path:
        """Where the coordinator leaves the first administrator's one-time code until shown."""
        return self.data / "keys" / "sign-in"

    @property
    def blobs(self) -> Path:
        """Root of the local blob store."""
        return self.data / "blobs"

    @property
    def spool(self) -> Path:
        """Where instances wait until an object store has them."""
        return self.data / "spool"

    @property
    def journal(self) -> Path:
        """The gateway's journal of instances the coordinator has not acknowledged yet."""
        return self.data / "journal"

    @property
    def work(self) -> Path:
        """Files that live as long as one call; pixels of patients, so not in a shared folder."""
        return self.data / "work"

    @property
    def postgres(self) -> Path:
        """Folder of the embedded PostgreSQL: its cluster, and its programs where copied."""
        return self.data / "postgres"

    @property
    def postgres_socket(self) -> Path:
        """Folder of the socket of the embedded PostgreSQL."""
        return self.run / "pg"

    @property
    def state(self) -> Path:
        """State of the running stack, for ``heimdallr status`` and other commands."""
        return self.run / "stack.json"

    @property
    def pointer(self) -> Path:
        """Names the runtime folder, so that a data folder is enough to find a running stack."""
        return self.data / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this data folder."""
        return self.data / "lock"

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits that tell this stack from others on the machine."""
        return folder_tag(self.data)

    @property
    def shm_prefix(self) -> str:
        """Start of the name of every shared memory region of this stack."""
        return f"heimdallr_{self.tag}_"


def folder_tag(data: Path) -> str:
    """Return eight hexadecimal digits that follow from the path of a data folder."""
    return hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]
