"""What was read of the videos of a Qdrant index, in collections beside theirs."""
