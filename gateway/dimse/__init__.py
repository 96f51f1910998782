"""DIMSE: C-ECHO and C-STORE as provider (PS3.7), over our own upper layer (PS3.8)."""
