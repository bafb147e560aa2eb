"""Video-text data sets as datasets builders."""
