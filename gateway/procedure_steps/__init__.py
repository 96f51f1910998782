"""Procedure steps: the modality worklist (PS3.4 Annex K) and what was performed (section F.7)."""
