"""The embedded stack: every process of one machine under one supervisor."""
