"""A client that has nothing of Heimdallr but its .proto files.

    python -m grpc_tools.protoc -I protos --python_out=out --grpc_python_out=out $(find protos -name '*.proto')
    export HEIMDALLR_TOKEN=$(heimdallr token my-client)
    PYTHONPATH=out python outside_client.py 127.0.0.1:8080

It lists studies, watches the newest until its work has come to rest, and fetches one instance.
"""

from __future__ import annotations

import hashlib
import os
import sys

import grpc

from heimdallr.archive.v1 import archive_service_pb2 as archive
from heimdallr.archive.v1 import archive_service_pb2_grpc as archive_grpc
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow
from heimdallr.workflow.v1 import workflow_service_pb2_grpc as workflow_grpc


def main(address: str, token: str) -> None:
    """Print what was found."""
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        archives = archive_grpc.ArchiveServiceStub(channel)
        workflows = workflow_grpc.WorkflowServiceStub(channel)

        page = archives.ListStudies(
            archive.ListStudiesRequest(page_size=1), metadata=metadata, timeout=10
        )
        if not page.studies:
            sys.exit("The archive holds no study yet.")
        study = page.studies[0]
        print("study", study.study_id, study.instance_count)

        watch = workflow.WatchStudyWorkflowRequest(study_id=study.study_id, until_settled=True)
        state = study.state
        for message in workflows.WatchStudyWorkflow(watch, metadata=metadata, timeout=300):
            state = message.workflow.state
        print("state", archive.StudyState.Name(state))

        request = archive.GetStudyRequest(study_id=study.study_id)
        series = archives.GetStudy(request, metadata=metadata, timeout=10).series[0]
        instances = archives.ListInstances(
            archive.ListInstancesRequest(series_id=series.series_id, page_size=1),
            metadata=metadata,
            timeout=10,
        ).instances
        fetch = archive.FetchInstanceRequest(instance_id=instances[0].instance_id)
        chunks = archives.FetchInstance(fetch, metadata=metadata, timeout=60)
        file = b"".join(chunk.data for chunk in chunks)
        whole = hashlib.sha256(file).hexdigest() == instances[0].blob.sha256
        print("instance", len(file), "whole" if whole else "damaged")


if __name__ == "__main__":
    main(sys.argv[1], os.environ["HEIMDALLR_TOKEN"])
