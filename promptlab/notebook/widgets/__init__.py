"""What the views share: controls, keys, scripts, and what a saved notebook shows."""
