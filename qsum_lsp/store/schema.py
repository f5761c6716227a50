"""The tables of the store and how an older file becomes a newer one."""

import sqlite3

# What an entry costs beside its value: the key stands in the table and in its index, whose pages are about
# two thirds full; 64 bytes are row headers and the entry in the index by use.
_COST = "(length({row}.value) + 3 * length({row}.key) + 64)"

# The script at position n makes version n + 1 out of version n. Never change one that was released; add to the list.
MIGRATIONS: tuple[str, ...] = (
    f"""
    CREATE TABLE texts (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        value BLOB NOT NULL,
        used INTEGER NOT NULL
    );
    CREATE INDEX texts_by_use ON texts (used);
    CREATE TABLE total (bytes INTEGER NOT NULL);
    INSERT INTO total VALUES (0);
    CREATE TRIGGER texts_insert AFTER INSERT ON texts BEGIN
        UPDATE total SET bytes = bytes + {_COST.format(row="new")};
    END;
    CREATE TRIGGER texts_delete AFTER DELETE ON texts BEGIN
        UPDATE total SET bytes = bytes - {_COST.format(row="old")};
    END;
    CREATE TRIGGER texts_update AFTER UPDATE OF value ON texts BEGIN
        UPDATE total SET bytes = bytes + length(new.value) - length(old.value);
    END;
    """,  # noqa: S608 - no input
)

# Oldest use first, each with its cost.
OLDEST_FIRST = f"SELECT id, {_COST.format(row='texts')} FROM texts ORDER BY used, id"  # noqa: S608 - no input


def version(connection: sqlite3.Connection) -> int:
    """The schema version of the file; 0 for an empty one."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version. The caller holds the lock of the file.

    Each step is one transaction that ends with the new version number, so a step is done or it is not.
    """
    for number in range(version(connection), len(MIGRATIONS)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        )
