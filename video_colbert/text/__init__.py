"""What is said, written and told of a video: passages of text with the seconds in which they are."""
