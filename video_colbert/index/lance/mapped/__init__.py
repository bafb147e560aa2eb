"""Tokens in files that are mapped into memory and derived from the table."""
