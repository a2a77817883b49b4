"""Login: a key that is put into the keyring, and what is said of it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

import promptlab as pl
from models.vaults import FileKeyring, ForgetfulKeyring, LockedKeyring
from promptlab.errors import CredentialsError

KEY = "sk-login-0123456789-wxyz"
OPENAI = "https://api.openai.com/v1"
ELSEWHERE = "https://api.example.test/v1"


@pytest.fixture
def vault(use: Callable[[KeyringBackend], None]) -> FileKeyring:
    vault = FileKeyring()
    use(vault)
    return vault


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes to standard input, which is no terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_key_is_stored_under_the_base_url(
    vault: FileKeyring, typed: Callable[[str], None]
) -> None:
    typed(f"  {KEY}\nanother line\n")

    said = pl.login()

    assert vault.entries == {f"promptlab {OPENAI}": KEY}
    assert repr(said) == (
        "stored in the keyring; in use for https://api.openai.com/v1: the keyring "
        "(…wxyz)"
    )


def test_each_server_has_an_entry_of_its_own(
    vault: FileKeyring, typed: Callable[[str], None]
) -> None:
    typed("sk-ours-0123456789")
    pl.login()
    typed("sk-theirs-0123456789")
    pl.login(f"{ELSEWHERE}/")

    assert vault.entries == {
        f"promptlab {OPENAI}": "sk-ours-0123456789",
        f"promptlab {ELSEWHERE}": "sk-theirs-0123456789",
    }


def test_the_server_is_the_one_that_the_environment_names(
    vault: FileKeyring,
    typed: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", ELSEWHERE)
    typed(KEY)

    assert pl.login().base_url == ELSEWHERE
    assert list(vault.entries) == [f"promptlab {ELSEWHERE}"]


def test_what_comes_before_the_keyring_is_told(
    vault: FileKeyring,
    typed: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment-0123456789-abcd")
    typed(KEY)

    assert repr(pl.login()) == (
        "stored in the keyring; in use for https://api.openai.com/v1: OPENAI_API_KEY "
        "in the environment (…abcd)"
    )


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-89-abcdef", " (…cdef)"),
        ("sk-89-abcde", ", which is short for a key: is it one?"),
        ("<key>", ", which is short for a key: is it one?"),
        ("<your-openai-key>", " (…key>), which looks like a placeholder"),
    ],
    ids=["12 characters", "11", "a few", "in brackets"],
)
def test_of_a_key_the_last_four_characters_are_shown_if_it_is_long(
    monkeypatch: pytest.MonkeyPatch, key: str, shown: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)

    said = pl.login(show=True)

    assert repr(said) == (
        f"in use for {OPENAI}: OPENAI_API_KEY in the environment{shown}"
    )
    assert key not in repr(vars(said))


def test_showing_asks_and_stores_nothing(
    vault: FileKeyring, typed: Callable[[str], None]
) -> None:
    typed(KEY)

    assert "no API key for https://api.openai.com/v1" in repr(pl.login(show=True))
    assert repr(pl.login("http://localhost:11434/v1", show=True)) == (
        "in use for http://localhost:11434/v1: no key is needed"
    )
    assert vault.entries == {}


def test_logout_removes_the_key_and_says_what_is_left(
    vault: FileKeyring,
    typed: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed(KEY)
    pl.login()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment-0123456789-abcd")

    first, second = pl.logout(), pl.logout()

    assert vault.entries == {}
    use = f"in use for {OPENAI}: OPENAI_API_KEY in the environment (…abcd)"
    assert repr(first) == f"the key was removed; {use}"
    assert repr(second) == f"there was no key; {use}"


@pytest.mark.parametrize("text", ["", "\n", "  \n"])
def test_where_nothing_is_typed_nothing_is_stored(
    vault: FileKeyring, typed: Callable[[str], None], text: str
) -> None:
    vault.set_password("promptlab", OPENAI, KEY)
    typed(text)

    with pytest.raises(CredentialsError, match="no key was typed"):
        pl.login()

    assert vault.entries == {f"promptlab {OPENAI}": KEY}


@pytest.mark.parametrize("text", ["sk-0123456789 and more", "sk-0123456789\u2026"])
def test_what_is_no_key_is_refused_without_being_shown(
    vault: FileKeyring, typed: Callable[[str], None], text: str
) -> None:
    typed(text)

    with pytest.raises(CredentialsError, match="characters that no key has") as caught:
        pl.login()

    assert "0123456789" not in str(caught.value)
    assert vault.entries == {}


@pytest.mark.parametrize("given", [KEY, "sk-proj-ABC", f" {KEY} ", 5, b"sk-proj-ABC"])
def test_a_key_that_is_given_to_login_is_not_shown(given: object) -> None:
    with pytest.raises(pl.SpecError) as told:
        pl.login(given)  # type: ignore[arg-type]

    assert str(told.value) == (
        "the first argument of login is a base URL, such as 'https://api.openai.com/v1'"
        ", and not the key; call pl.login() and it asks for it"
    )


def test_a_key_that_is_given_to_logout_is_not_shown() -> None:
    with pytest.raises(pl.SpecError, match=r"logout is a base URL, .*not the key"):
        pl.logout("sk-proj-ABC")


def test_a_server_on_this_machine_is_refused(
    vault: FileKeyring, typed: Callable[[str], None]
) -> None:
    typed(KEY)

    with pytest.raises(CredentialsError, match="not looked up in the keyring"):
        pl.login("http://localhost:4000/v1")


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (LockedKeyring, "the keyring is locked"),
        (ForgetfulKeyring, "the keyring of this machine keeps nothing"),
        (fail.Keyring, "this machine has no keyring"),
    ],
    ids=["locked", "forgetful", "none"],
)
def test_a_keyring_that_is_of_no_use_is_told(
    use: Callable[[KeyringBackend], None],
    typed: Callable[[str], None],
    backend: type[KeyringBackend],
    said: str,
) -> None:
    use(backend())
    typed(KEY)

    with pytest.raises(CredentialsError, match=said):
        pl.login()


def test_without_the_package_both_say_what_would_do(
    typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    typed(KEY)

    for function in (pl.login, pl.logout):
        with pytest.raises(CredentialsError, match=r"pip install -e '") as e:
            function()
        assert "OPENAI_API_KEY" in str(e.value)
