"""Candidates from cells of videos, for indexes of a million videos and more."""
