"""DICOMweb as origin server (PS3.18): STOW-RS, QIDO-RS, WADO-RS."""
