"""The Video-ColBERT model."""
