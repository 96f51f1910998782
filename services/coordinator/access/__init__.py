"""People, their roles and the tokens they get."""
