"""RetentionService: what is kept for how long, and deleting studies."""
