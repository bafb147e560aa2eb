"""An index in a Lance table, in a folder or in object storage."""
