"""Means by two columns, and the trials behind each of them."""
