"""Blind comparison: pairs of outputs, votes, and who won how often."""
