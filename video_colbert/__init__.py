"""Text-to-video retrieval by late interaction."""
