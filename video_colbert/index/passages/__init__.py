"""Passages in an index: what was read of each content, and what a search makes of it."""
