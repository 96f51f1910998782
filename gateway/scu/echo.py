"""C-ECHO (PS3.4 Annex A)."""

from __future__ import annotations

from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.peers.errors import PeerRefusedError
from gateway.scu.association import Called, Caller, Offer
from gateway.scu.worker import Outlet

SUCCESS: Final = 0x0000
PLAIN_SYNTAXES: Final = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
_OFFER: Final = Offer("1.2.840.10008.1.1", PLAIN_SYNTAXES)


def echo(caller: Caller, called: Called, outlet: Outlet[bool]) -> None:
    """Ask whether a peer answers; puts True when it does.

    Raises:
        PeerUnreachableError, PeerRefusedError: It does not.
    """
    with caller.line(called, [_OFFER], outlet) as line:
        status = line.association.send_c_echo().get("Status")
        if status is None:
            raise line.lost()
        if status != SUCCESS:
            raise PeerRefusedError(called.peer.name, f"{status:04X}", "C-ECHO")
    outlet.put(True)
