"""Processes that do work which may crash or hang, and the server they start from."""
