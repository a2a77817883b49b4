"""Errors: what the server answers instead of a completion, in OpenAI's own words.

Statuses, types, codes and messages are those of api.openai.com, so that a client
which handles these handles the real ones.
"""

import math
from collections.abc import Mapping
from typing import Any

QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. "
    "For more information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors."
)
UNPARSED = (
    "We could not parse the JSON body of your request. (HINT: This likely means you "
    "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, "
    "but what was sent was not valid JSON. If you have trouble figuring out how to fix "
    "this, please contact us through our help center at help.openai.com.)"
)
NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an "
    "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or "
    "as the password field (with blank username) if you're accessing the API from your "
    "browser and are prompted for a username and password. You can obtain an API key "
    "from https://platform.openai.com/account/api-keys."
)


class ApiError(Exception):
    """An error reply: its HTTP status, its `{"error": ...}` body, its extra headers."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, dict[str, Any]] = {
            "error": {"message": message, "type": type, "param": param, "code": code}
        }


def invalid(message: str, param: str, code: str | None) -> ApiError:
    """400: a parameter with a wrong value."""
    return ApiError(400, message, param=param, code=code)


def missing(param: str) -> ApiError:
    """400: a parameter that must be given."""
    return invalid(
        f"Missing required parameter: '{param}'.", param, "missing_required_parameter"
    )


def unsupported(param: str, instead: str | None = None) -> ApiError:
    """400: a parameter this model does not take."""
    hint = f" Use '{instead}' instead." if instead else ""
    return ApiError(
        400,
        f"Unsupported parameter: '{param}' is not supported with this model.{hint}",
        param=param,
        code="unsupported_parameter",
    )


def unrecognized(param: str) -> ApiError:
    """400: a parameter that the API does not have."""
    return ApiError(400, f"Unrecognized request argument supplied: {param}")


def unparsed() -> ApiError:
    """400: a body that is not a JSON object."""
    return ApiError(400, UNPARSED)


def unauthorized(key: str) -> ApiError:
    """401: no key, or a wrong one, of which only the ends are shown."""
    if not key:
        return ApiError(401, NO_KEY)
    shown = f"{key[:3]}{'*' * (len(key) - 7)}{key[-4:]}" if len(key) > 11 else "***"
    message = (
        f"Incorrect API key provided: {shown}. You can find your API key at "
        "https://platform.openai.com/account/api-keys."
    )
    return ApiError(401, message, code="invalid_api_key")


def unknown_model(model: str) -> ApiError:
    """404: a model that is not served here."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found")


def unknown_url(method: str, path: str) -> ApiError:
    """404: a path that is not served here."""
    return ApiError(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str) -> ApiError:
    """405: a known path, asked in the wrong way."""
    hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
    message = f"Not allowed to {method} on {path}. {hint}"
    return ApiError(405, message, code="method_not_supported")


def too_large(limit_bytes: int) -> ApiError:
    """413: a body larger than the server reads."""
    return ApiError(413, f"Maximum content size limit ({limit_bytes}) exceeded")


def rate_limited(
    kind: str, detail: str, wait_s: float | None, headers: Mapping[str, str]
) -> ApiError:
    """429: too much at once; `kind` is requests or tokens, `wait_s` when to retry.

    Without `wait_s` the request never fits, so no wait is named.
    """
    wait: dict[str, str] = {}
    if wait_s is not None:
        wait["retry-after"] = str(max(1, math.ceil(wait_s)))
        wait["retry-after-ms"] = str(max(1, round(wait_s * 1000)))
    more = "Visit https://platform.openai.com/account/rate-limits to learn more."
    return ApiError(
        429,
        f"{detail} {more}",
        type=kind,
        code="rate_limit_exceeded",
        headers={**headers, **wait},
    )


def out_of_quota() -> ApiError:
    """429: no credit left; retrying never helps."""
    return ApiError(429, QUOTA, type="insufficient_quota", code="insufficient_quota")


def server_error() -> ApiError:
    """500: the server failed."""
    message = "The server had an error while processing your request. Sorry about that!"
    return ApiError(500, message, type="server_error")


def overloaded() -> ApiError:
    """503: the server has too much to do."""
    message = "The engine is currently overloaded, please try again later."
    return ApiError(503, message, type="service_unavailable_error")
