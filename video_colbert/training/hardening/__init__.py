"""Training against attacks on the pixels of videos."""
