"""Clips and stills of coloured shapes, made on the user's machine, with captions that are known to be right."""
