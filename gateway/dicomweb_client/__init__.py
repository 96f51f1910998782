"""DICOMweb as user agent: QIDO-RS, WADO-RS and STOW-RS towards registered peers."""
