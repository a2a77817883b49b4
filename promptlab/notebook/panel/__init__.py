"""Panels that run: an experiment by clicks, a conversation by typing."""
