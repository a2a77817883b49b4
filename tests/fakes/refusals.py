"""What well-known refusals of servers are read as."""

from __future__ import annotations

from promptlab.testing import failure

UNAUTHORIZED = failure(401, "invalid_api_key", message="Incorrect API key provided")
OUT_OF_QUOTA = failure(
    429,
    "insufficient_quota",
    type="insufficient_quota",
    message="You exceeded your current quota",
)
BUSY = failure(429, "rate_limit_exceeded", type="requests", retry_after_s=0.001)
NO_SUCH_MODEL = failure(404, "model_not_found", message="The model does not exist")
UNSUPPORTED = failure(400, "unsupported_parameter", param="temperature")
BAD_REQUEST = failure(400, "context_length_exceeded", message="Too many tokens")
