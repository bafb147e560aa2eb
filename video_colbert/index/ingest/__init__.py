"""Files to rows of an index: which files, what is to be done with each, and the writing of what comes out."""
