"""Routes: to which base URL the requests for a model go."""

from __future__ import annotations

import os
from collections.abc import Mapping

from promptlab.secret import sealed_url
from promptlab.spec.address import OFFLINE_SCHEME, OPENAI_URL, canonical_url

OFFLINE_PREFIX = "offline/"
"""Models whose names begin so are answered by the offline model, in the process."""


def route(
    model: str, base_url: str | None = None, variables: Mapping[str, str] | None = None
) -> str:
    """The base URL that requests to a model are keyed with.

    The one given, else the offline model for `offline/...`, else $OPENAI_BASE_URL,
    else OpenAI.
    """
    if base_url is None and model.startswith(OFFLINE_PREFIX):
        return offline_url()
    variables = os.environ if variables is None else variables
    default = sealed_url(variables.get("OPENAI_BASE_URL"))
    return canonical_url(base_url or default or OPENAI_URL)


def offline_url() -> str:
    """What stands for the address of the offline model in a key.

    Its port changes with every run; its answers change with its version alone.
    """
    from promptlab.offline import RESPONDER_VERSION

    return f"{OFFLINE_SCHEME}{RESPONDER_VERSION}"
