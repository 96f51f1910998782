"""What associations are offered and what the last of them said, as typed calls."""
