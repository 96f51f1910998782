"""Write docs/dicom-conformance.md: the conformance statement of a gateway set by default."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from gateway.dimse.settings import DicomSettings
from gateway.gateway import Gateway
from gateway.settings import GatewaySettings
from services.cli.conformance_text import markdown
from services.runtime.local_blobs import LocalBlobs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "dicom-conformance.md"


async def statement() -> str:
    """Return the statement as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = GatewaySettings(
            journal_folder=folder / "journal", intake_address=f"unix:{folder}/intake.sock"
        )
        gateway = Gateway(settings, LocalBlobs(folder / "blobs"), None, dicom=DicomSettings())
        return markdown(gateway.conformance())


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(statement()))
