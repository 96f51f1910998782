"""A running registry of peers."""

from __future__ import annotations

from typing import Any

import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.peers.v1 import peers_service_pb2 as pb
from services.runtime.client import ServiceCallError, typed_errors

ADMIN = Permission.PERMISSION_PEERS_ADMIN
READ = Permission.PERMISSION_PEERS_READ
USE = Permission.PERMISSION_PEERS_USE
Stub = Any
SECRET = "correct horse battery staple"


def spec(name: str = "PACS", **changes: Any) -> pb.PeerSpec:
    dimse = pb.DimseAddress(ae_title=changes.pop("ae_title", "PACS"), host="pacs.example", port=104)
    values: dict[str, Any] = {"trust_zone": pb.TRUST_ZONE_INSIDE, "dimse": dimse}
    return pb.PeerSpec(name=name, **(values | changes))


async def created(admin: Stub, made: pb.PeerSpec, **credentials: str) -> pb.Peer:
    request = pb.CreatePeerRequest(spec=made, credentials=pb.PeerCredentials(**credentials))
    peer: pb.Peer = (await admin.CreatePeer(request)).peer
    return peer


async def refused(call: Any) -> ServiceCallError:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value


def dimse(**changes: Any) -> pb.PeerSpec:
    made = spec()
    for name, value in changes.items():
        if name == "transfer_syntax_uids":
            made.dimse.transfer_syntax_uids.extend(value)
        else:
            setattr(made.dimse, name, value)
    return made
