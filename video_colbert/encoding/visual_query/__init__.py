"""Queries by picture and by stretch of a video, perhaps with words: what is asked, and its token bags."""

from video_colbert.encoding.visual_query.query import VisualQuery, as_visual_query

__all__ = ["VisualQuery", "as_visual_query"]
