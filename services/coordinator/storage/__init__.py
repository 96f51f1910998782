"""StorageService: garbage is collected, and what is kept is checked against its hashes."""
