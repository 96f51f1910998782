"""Backups: the database at one moment, and every blob that it names."""
