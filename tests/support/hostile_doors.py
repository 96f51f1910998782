"""The doors through which a stranger may send an instance."""

from __future__ import annotations

from typing import Final, Protocol

from tests.support.hostile_instances import HostileInstance
from tests.support.running_stack import RunningStack
from tests.support.scu import Scu

_FRAGMENT_BYTES: Final = 16_000


class Door(Protocol):
    """Sends an instance and says what became of it."""

    def send(self, instance: HostileInstance) -> bool:
        """Return whether the instance was taken; fails when there is no definite answer."""
        ...


class DimseDoor:
    """C-STORE, with what is announced in the command set."""

    def __init__(self, stack: RunningStack) -> None:
        self._port = stack.dicom_port

    def send(self, instance: HostileInstance) -> bool:
        """See `Door`."""
        with Scu(self._port, timeout_s=30) as scu:
            scu.associate([(1, instance.sop_class_uid, (instance.transfer_syntax_uid,))])
            status = scu.store(
                instance.data_set,
                instance.sop_instance_uid,
                instance.sop_class_uid,
                1,
                fragment_bytes=_FRAGMENT_BYTES,
            )
        assert status in (0x0000, 0x0117, 0xA900, 0xC000), f"{status:04X}"
        return status == 0x0000


DOORS: Final = (DimseDoor,)
