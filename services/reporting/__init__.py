"""Turns results into documents: a structured result and a PDF."""
