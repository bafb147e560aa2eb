"""Changes of a Lance table that take more than one call."""
