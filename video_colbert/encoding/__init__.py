"""Videos and texts to token bags. Nothing is imported here: a decoding process must start without torch."""
