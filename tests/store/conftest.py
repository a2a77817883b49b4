"""A fake model, a small experiment and a cache, in a project of their own."""

from fakes.fixtures import *  # noqa: F403
