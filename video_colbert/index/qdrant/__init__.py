"""An index in a Qdrant collection."""
