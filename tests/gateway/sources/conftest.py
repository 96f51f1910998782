"""Turns at sources without a coordinator: what a gateway tells is kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.file_door import FileDoor
from gateway.sources.work import Work
from heimdallr.sources.v1 import sources_service_pb2 as pb
from services.runtime.ids import new_id
from tests.gateway.conftest import RunningGateway


@dataclass
class Registry:
    """The calls of a gateway at work, as its stub makes them."""

    kept: list[pb.KeepTurnRequest] = field(default_factory=list)
    ended: list[pb.EndTurnRequest] = field(default_factory=list)
    stop: bool = False

    async def KeepTurn(self, request: pb.KeepTurnRequest) -> pb.KeepTurnResponse:  # noqa: N802
        self.kept.append(request)
        return pb.KeepTurnResponse(stop=self.stop)

    async def EndTurn(self, request: pb.EndTurnRequest) -> pb.EndTurnResponse:  # noqa: N802
        self.ended.append(request)
        return pb.EndTurnResponse()

    def work(self, spec: pb.SourceSpec, cursor: str = "", **values: Any) -> Work:
        """Return a turn at a source."""
        source = pb.Source(source_id=new_id(), spec=spec)
        turn = pb.Turn(turn_id=new_id(), source=source, cursor=cursor, **values)
        return Work(turn, self, 60)  # type: ignore[arg-type]


@dataclass
class HeldDouble:
    """The archive as far as sources ask it: what the double of the intake has taken."""

    gateway: RunningGateway
    confirmed: dict[str, int] = field(default_factory=dict)

    async def instances(self, study_instance_uid: str) -> set[str]:
        return {
            instance.attributes.sop_instance_uid
            for instance in self.gateway.intake.instances
            if instance.attributes.study_instance_uid == study_instance_uid
        }

    async def confirm(self, study_instance_uid: str, source: str, count: int) -> None:
        self.confirmed[study_instance_uid] = count


def door(gateway: RunningGateway) -> FileDoor:
    """Return the gateway's way in for files."""
    return FileDoor(gateway.gateway.part10, gateway.gateway.intake)


@pytest.fixture
def registry() -> Registry:
    return Registry()
