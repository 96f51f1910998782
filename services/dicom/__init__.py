"""Pure DICOM knowledge: no transport, no storage, no workflow."""
