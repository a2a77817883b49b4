"""Outputs side by side: the comparison, its widget and its marks."""
