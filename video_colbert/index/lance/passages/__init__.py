"""Passages of an index in Lance tables beside that of the videos."""
