"""The database: one file of a known version, private, never written to in vain."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fakes.experiments import capitals

from promptlab.errors import CacheError
from promptlab.store.database import MIGRATIONS, Database
from promptlab.store.ledger import Ledger
from promptlab.testing import FakeClient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "promptlab.sqlite"


def test_it_is_made_for_the_user_alone_with_all_migrations(path: Path) -> None:
    with closing(Database(path)) as database:
        assert database.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_that_of_a_newer_promptlab_is_left_alone(path: Path) -> None:
    with closing(Database(path)) as database:
        database.rows("PRAGMA user_version = 99")

    with pytest.raises(CacheError, match=r"by a newer promptlab \(version 99.*upgrade"):
        Database(path)


def test_with_that_of_a_newer_promptlab_nothing_is_paid_for(clean_home: Path) -> None:
    with closing(Database()) as database:
        database.rows("PRAGMA user_version = 99")
    before = (clean_home / "promptlab.sqlite").read_bytes()
    client = FakeClient()

    with pytest.raises(CacheError, match="by a newer promptlab"):
        capitals(1).run(client=client)

    assert client.calls == 0
    assert (clean_home / "promptlab.sqlite").read_bytes() == before


def test_to_read_makes_no_file(clean_home: Path) -> None:
    with closing(Database.to_read()) as database:
        assert database.rows("SELECT * FROM calls") == []

    assert not clean_home.exists()


def test_a_transaction_is_written_whole_or_not_at_all(path: Path) -> None:
    insert = "INSERT INTO spent VALUES (?, 1, 1)"
    with closing(Database(path)) as database:
        with pytest.raises(CacheError), database.writing() as connection:
            connection.executemany(insert, [(1,), (2,), (1,)])

        assert database.rows("SELECT * FROM spent") == []


def test_one_that_was_removed_while_it_is_open_is_not_written_to_in_vain(
    path: Path,
) -> None:
    with closing(Database(path)) as database:
        path.unlink()

        gone = pytest.raises(CacheError, match="was removed or moved")
        with gone, database.writing() as connection:
            connection.execute("INSERT INTO spent VALUES (1, 1, 1)")


def test_to_open_and_close_another_gives_up_no_lock_of_the_process(path: Path) -> None:
    """Else the other process takes itself for the last, and removes the log."""
    reads = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    reads += "c.execute('PRAGMA user_version').fetchall(); c.close()"
    with closing(Database(path)) as database:
        Database(path).close()
        subprocess.run([sys.executable, "-c", reads, str(path)], check=True)

        assert path.with_name("promptlab.sqlite-wal").exists()
        assert database.rows("SELECT * FROM calls") == []


def test_a_migration_that_fails_leaves_it_as_it_was(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "usage.sqlite").write_bytes(b"not a database" * 100)

    with pytest.raises(CacheError, match=r"usage\.sqlite.*not a database"):
        Database(path)

    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT * FROM sqlite_master").fetchall() == []


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_one_of_each_earlier_version_is_brought_to_this_one_and_keeps_its_rows(
    path: Path, version: int
) -> None:
    make_old(path, version)

    for _ in range(2):
        with closing(Database(path)) as database:
            assert database.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]
            assert database.rows("SELECT * FROM budgets") == [("day", 1.0, None)]
            for table in ("in_flight", "runs", "marks", "votes"):
                assert database.rows(f"SELECT * FROM {table}") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_one_of_an_earlier_version_that_can_only_be_read_is_read(path: Path) -> None:
    make_old(path, 1)
    path.parent.chmod(0o500)
    try:
        with closing(Database(path)) as database:
            assert database.rows("SELECT * FROM budgets") == [("day", 1.0, None)]
            assert database.rows("SELECT * FROM votes") == []
            with pytest.raises(CacheError, match="can only be read"):
                Ledger(database).check_writable()
    finally:
        path.parent.chmod(0o700)


def make_old(path: Path, version: int) -> None:
    """Makes a database that has been through so many migrations."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file:
        for statements, _ in MIGRATIONS[:version]:
            file.executescript(statements)
        file.execute("INSERT INTO budgets VALUES ('day', 1, NULL)")
        file.execute(f"PRAGMA user_version = {version}")
        file.commit()
