"""Registered peers as those see them who call them: how they are reached and what may go there."""
