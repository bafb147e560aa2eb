"""Attacks on retrieval: videos and queries changed so that a video is found, or is not, and what helps against it."""
