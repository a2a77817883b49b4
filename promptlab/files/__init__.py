"""The user's files: configs, datasets, prompts."""
