"""The registry of sources: what studies are fetched from, when, and how that goes."""
