"""Runs models on volumes through Triton and measures what they find."""
