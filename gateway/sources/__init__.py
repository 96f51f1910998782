"""Places that studies are fetched from by schedule; one gateway at a time works on each."""
