"""Reports of an evaluation: as data, and as a page to read."""
