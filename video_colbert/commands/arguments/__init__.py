"""What arguments several commands share, and how they are read and named."""
