"""Chooses series, judges their geometry, and makes volumes, pictures and metadata of them."""
