"""De-identification of the archive: projects, what became of objects, and decisions."""
