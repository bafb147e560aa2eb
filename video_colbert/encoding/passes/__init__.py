"""A model's passes, and the number format that they are computed in."""
