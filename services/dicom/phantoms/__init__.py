"""Synthetic DICOM made from shapes whose volumes are known."""
