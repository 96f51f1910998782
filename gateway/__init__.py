"""Every DICOM protocol, in and out, and the path of bytes to the coordinator."""
