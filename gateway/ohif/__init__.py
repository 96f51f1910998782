"""OHIF, the viewer of others, served unmodified over our DICOMweb."""
