"""A modality that keeps sending until each of its instances was acknowledged."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

SUCCESS: Final = 0x0000
_PAUSE_S: Final = 0.5


@dataclass
class Modality(threading.Thread):
    """Sends one study over as many associations as it takes, and notes what was acknowledged."""

    port: int
    files: list[bytes]
    deadline: float
    acknowledged: set[str] = field(default_factory=set)
    associations: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._ae = AE(ae_title="MODALITY")
        self._ae.acse_timeout = self._ae.dimse_timeout = self._ae.network_timeout = 30
        self._ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Send, and send again what was not acknowledged."""
        waiting: list[Dataset] = [dcmread(DicomBytesIO(file)) for file in self.files]
        while waiting and time.monotonic() < self.deadline:
            waiting = self._send(waiting)
            if waiting:
                time.sleep(_PAUSE_S)

    def _send(self, datasets: list[Dataset]) -> list[Dataset]:
        association = self._ae.associate("127.0.0.1", self.port, ae_title="HEIMDALLR")
        self.associations += 1
        if not association.is_established:
            return datasets
        for dataset in datasets:
            try:
                status = association.send_c_store(dataset)
            except (RuntimeError, ValueError):
                break  # the association went away under us
            if status.get("Status") == SUCCESS:
                self.acknowledged.add(str(dataset.SOPInstanceUID))
        if association.is_established:
            association.release()
        return [d for d in datasets if str(d.SOPInstanceUID) not in self.acknowledged]
