"""Talking to a model: clients, replies, failures, keys."""
