"""Uploads: bytes that come in pieces over HTTP, are unpacked, and go the way of every instance."""
