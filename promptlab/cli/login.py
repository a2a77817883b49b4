"""Commands on API keys: login, logout."""

from __future__ import annotations

from typing import Annotated

import typer

from promptlab.cli.options import BaseUrl, EnvFile
from promptlab.cli.printing import echo


def login(
    base_url: BaseUrl = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            help="Show where the key comes from, and ask for none.",
        ),
    ] = False,
    env_file: EnvFile = None,
) -> None:
    """Ask for a server's API key and store it in the system's keyring.

    Examples:
      promptlab login
      promptlab login --base-url https://openrouter.ai/api/v1
      promptlab login --show
    """
    from promptlab.models.login import login

    echo(login(base_url, show=show, env_file=env_file))


def logout(base_url: BaseUrl = None, env_file: EnvFile = None) -> None:
    """Remove a server's API key from the system's keyring.

    Examples:
      promptlab logout --base-url https://openrouter.ai/api/v1
    """
    from promptlab.models.login import logout

    echo(logout(base_url, env_file=env_file))
