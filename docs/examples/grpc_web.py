"""The same service as gRPC-Web over HTTP/1.1, with the standard library's HTTP client alone.

    export HEIMDALLR_TOKEN=$(heimdallr token my-page)
    PYTHONPATH=out python grpc_web.py 127.0.0.1:8080

A gRPC-Web body is frames of one flag byte, four bytes of length and the message; the last frame, flag
0x80, holds the trailers.
"""

from __future__ import annotations

import http.client
import os
import struct
import sys

from heimdallr.archive.v1 import archive_service_pb2 as archive

METHOD = "/heimdallr.archive.v1.ArchiveService/ListStudies"


def main(address: str, token: str) -> None:
    """Print the newest studies and the call's status."""
    message = archive.ListStudiesRequest(page_size=5).SerializeToString()
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "authorization": f"Bearer {token}",
    }
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("POST", METHOD, struct.pack(">BI", 0, len(message)) + message, headers)
    response = connection.getresponse()
    body = response.read()
    if "grpc-status" in response.headers:
        print("grpc-status", response.headers["grpc-status"])
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        frame, body = body[5 : 5 + length], body[5 + length :]
        if flag & 0x80:
            print(frame.decode("ascii").strip().replace(":", " "))
        else:
            for study in archive.ListStudiesResponse.FromString(frame).studies:
                print("study", study.study_id)


if __name__ == "__main__":
    main(sys.argv[1], os.environ["HEIMDALLR_TOKEN"])
