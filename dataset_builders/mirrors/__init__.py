"""Data sets as people mirror them: videos in archives, downloaded from the Hub and unpacked safely."""
