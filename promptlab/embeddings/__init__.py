"""Embeddings: texts as vectors, asked and kept like any other call."""
