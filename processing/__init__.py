"""The Video-ColBERT processor."""
