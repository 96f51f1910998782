"""De-identification: takes identity out of DICOM objects, and proves it."""
