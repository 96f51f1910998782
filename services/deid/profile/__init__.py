"""What PS3.15 Annex E asks of each attribute."""
