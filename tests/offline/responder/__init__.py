"""Tests of the offline model, over real HTTP with the official client."""
