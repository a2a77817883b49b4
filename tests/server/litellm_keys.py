"""Imported by LiteLLM's proxy: who may ask it, and how much at once."""

from litellm.proxy._types import ProxyException, UserAPIKeyAuth

LIMITS = {"sk-plain": {}, "sk-two-at-once": {"max_parallel_requests": 2}}


async def user(request: object, api_key: str) -> UserAPIKeyAuth:
    """The user with a key. Raises `ProxyException`."""
    if api_key not in LIMITS:
        raise ProxyException("no such key", "auth_error", "api_key", 401)
    return UserAPIKeyAuth(api_key=api_key, **LIMITS[api_key])
