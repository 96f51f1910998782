"""Every way out of the house is known, and what leaves by it passes a gate.

The sources are read, not run: whoever opens a connection in a place that is not listed here fails
these tests, and says here what may go there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOTS: Final = ("services", "gateway")
OPENERS: Final = frozenset(
    {
        *("open_connection", "open_unix_connection", "create_connection"),
        *("create_unix_connection", "create_datagram_endpoint", "sock_connect", "connect"),
        *("connect_ex", "sendto", "secure_channel", "insecure_channel", "urlopen", "urlretrieve"),
        *("ClientSession", "AsyncClient", "associate", "create_pool", "InferenceServerClient"),
        *("from_url", "OTLPSpanExporter", "HTTPConnection", "HTTPSConnection", "SMTP", "FTP"),
        *("AsyncOpenAI", "OpenAI", "AsyncAnthropic", "Anthropic", "AIOKafkaProducer", "Producer"),
    }
)
"""What opens a connection, in the libraries that there are and in those that are likely."""
STRANGERS: Final = frozenset(
    {
        *("requests", "httpx", "urllib3", "http.client", "urllib.request", "smtplib", "ftplib"),
        *("telnetlib", "websockets", "paramiko", "boto3", "openai", "anthropic", "dicomweb_client"),
        *("confluent_kafka", "nats", "aiokafka"),
    }
)
"""Libraries that speak to others and are not used: with one comes a way out."""
TO_PEERS: Final = {
    "gateway/scu/store.py": "C-STORE: `Recipient`, and each instance passes `require`",
    "gateway/outgoing.py": "sub-operations of C-MOVE, reports of commitment: takes a `Recipient`",
    "gateway/dicomweb_client/session.py": "DICOMweb: `store` takes a `Recipient`, searches pass "
    "`check_outside`",
    "gateway/scu/association.py": "C-ECHO, C-FIND, C-MOVE, C-GET, N-ACTION: keys pass "
    "`check_outside`, nothing stored is read",
    "gateway/dimse/requestor.py": "the connection below `gateway/outgoing.py` and "
    "`gateway/scu/store.py`",
    "gateway/sources/orthanc_client.py": "GET alone, of a registered source",
}
"""Where other systems are called, and the gate of each."""
OF_THE_HOUSE: Final = {
    "services/runtime/mesh_address.py": "our own services",
    "services/runtime/listening.py": "asks whether somebody listens at our own socket",
    "services/runtime/postgres.py": "the database that a setting names",
    "services/runtime/blobs.py": "the object store that a setting names",
    "services/runtime/object_blobs.py": "the object store that a setting names",
    "services/runtime/telemetry.py": "the collector that a setting names; no patient data in it",
    "services/analysis/triton.py": "the models' server that a setting names",
    "services/cli/backup/database.py": "our own database",
    "services/cli/stack/postgres.py": "our own database",
    "services/cli/stack/readiness.py": "asks whether our own services listen",
    "services/cli/upload.py": "a person's files to our own gateway",
    "services/cli/scu.py": "a person's files, where the person says: `heimdallr send`",
}
"""Where parts of the house are called; an operator names them."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for root in ROOTS:
        for path in Path(root).rglob("*.py"):
            if "node_modules" not in path.parts:
                yield path.as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def called(node: ast.Call) -> str:
    named = node.func
    return named.attr if isinstance(named, ast.Attribute) else getattr(named, "id", "")


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return dict(sources())


def test_every_place_that_opens_a_connection_is_listed(trees: dict[str, ast.Module]) -> None:
    opening = {
        path
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) in OPENERS
    }

    assert opening == TO_PEERS.keys() | OF_THE_HOUSE.keys()


def test_no_other_library_speaks_to_others(trees: dict[str, ast.Module]) -> None:
    strange = {
        (path, name)
        for path, tree in trees.items()
        for name in imported(tree)
        if name in STRANGERS or name.split(".")[0] in STRANGERS
    }

    assert strange == set()


def test_what_may_go_outside_is_said_in_one_place(trees: dict[str, ast.Module]) -> None:
    makers = {
        path
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "ReleasedCopies"
    }

    assert makers == {"gateway/peers/release.py"}


def test_the_gate_stands_before_every_byte_that_is_sent(trees: dict[str, ast.Module]) -> None:
    """Whoever reads what is stored to send it asks the gate for that instance."""
    reading = {
        path
        for path, tree in trees.items()
        if path.startswith("gateway/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "data_set" and _of_stored(node)
    }
    asking = {
        path
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "require"
    }

    # C-GET answers a caller that the registry knows to be inside.
    assert reading - asking == {"gateway/query_retrieve/get.py"}


def _of_stored(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and "stored" in ast.unparse(node.func.value)
