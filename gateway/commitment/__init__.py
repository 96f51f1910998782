"""Storage commitment as provider (PS3.4 Annex J, push model)."""
