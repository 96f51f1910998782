"""The index of patients, studies, series and instances, and ArchiveService over it."""
