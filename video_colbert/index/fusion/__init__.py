"""One ranking out of several: what pictures, speech, text on the screen and other sources found, fused."""
