"""How good: scorers, and what they make of results."""
