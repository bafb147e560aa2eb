"""Scores and candidates over token bags, whatever stores them."""
