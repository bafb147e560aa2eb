"""How far a search of an index is to be believed, learned from queries whose right videos are known."""
