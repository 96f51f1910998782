"""The ``heimdallr`` command: the one composition root."""
