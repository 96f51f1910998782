"""What browsers ask for: the session, the built page, and whether the process lives."""
