"""DIMSE as service class user: what we ask of peers, over pynetdicom in threads of its own."""
