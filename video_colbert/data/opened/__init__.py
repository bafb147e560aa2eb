"""Data sets that `datasets` opens by a name of the Hub or a folder, as rows of videos and captions."""
