"""The registry of systems that images are exchanged with."""
