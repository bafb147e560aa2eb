"""The state of a run between two starts: its checkpoints, and whether it is still the same run."""
