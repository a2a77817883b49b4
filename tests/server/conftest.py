"""What is here but for other environments to import."""

from __future__ import annotations

collect_ignore = ["litellm_keys.py", "llama.py"]
