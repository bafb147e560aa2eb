"""The files of a model: where a name finds them, and whether they are there and whole."""
