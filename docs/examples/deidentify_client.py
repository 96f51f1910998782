"""A client that has DICOM files de-identified and keeps nothing on the server but a key.

    python -m grpc_tools.protoc -I protos --python_out=out --grpc_python_out=out $(find protos -name '*.proto')
    export HEIMDALLR_TOKEN=$(heimdallr token other-hospital --permission deid_run)
    PYTHONPATH=out python deidentify_client.py 127.0.0.1:8080 IN OUT

Files go in one after another and come back in the same order while others are still on their way.
What is held is named with its reason; the signed certificate over all of them comes last.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

from heimdallr.deid.v1 import deidentification_service_pb2 as deid
from heimdallr.deid.v1 import deidentification_service_pb2_grpc as deid_grpc
from heimdallr.deid.v1 import profile_pb2 as profiles

PROJECT = "0198c2a4-7a00-7000-8000-000000000001"  # yours: the same one for the same pseudonyms
CHUNK_BYTES = 1 << 20


def requests(source: Path) -> Iterator[deid.DeidentifyInstancesRequest]:
    """Yield how the files are treated, and then each file in chunks."""
    profile = profiles.Profile(preset=profiles.PROFILE_PRESET_RESEARCH)
    yield deid.DeidentifyInstancesRequest(
        begin=deid.StreamBegin(project_id=PROJECT, profile=profile)
    )
    for path in sorted(source.glob("*.dcm")):
        begin = deid.ObjectBegin(name=path.name, size_bytes=path.stat().st_size)
        yield deid.DeidentifyInstancesRequest(object=begin)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield deid.DeidentifyInstancesRequest(chunk=chunk)


def main(address: str, token: str, source: Path, target: Path) -> None:
    """Write what is released and the certificate into a folder."""
    metadata = (("authorization", f"Bearer {token}"),)
    target.mkdir(parents=True, exist_ok=True)
    with grpc.insecure_channel(address) as channel:
        stub = deid_grpc.DeidentificationServiceStub(channel)
        certificate = b""
        for answer in stub.DeidentifyInstances(requests(source), metadata=metadata):
            kind = answer.WhichOneof("event")
            if kind == "outcome":
                instance = answer.outcome.instance
                held = ", ".join(finding.code for finding in instance.findings)
                print(answer.outcome.name, f"held: {held}" if held else "released")
            elif kind == "chunk":
                with (target / f"{instance.released.sha256}.dcm").open("ab") as file:
                    file.write(answer.chunk)
            else:
                certificate += answer.certificate
    (target / "certificate.json").write_bytes(certificate)


if __name__ == "__main__":
    main(sys.argv[1], os.environ["HEIMDALLR_TOKEN"], Path(sys.argv[2]), Path(sys.argv[3]))
