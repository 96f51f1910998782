"""Who stands behind a pseudonym, sealed, and who may be told."""
