"""Searching served: a service over indexes, and over it a page, an HTTP API and tools for assistants."""
