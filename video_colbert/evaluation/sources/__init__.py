"""Evaluation of searches over several sources: by the source that answers, and of what judged queries teach."""
