"""A real PostgreSQL server for tests, from Debian's package, started anew in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
synchronous_commit = off  # so that a test notices who relies on the server's default
log_min_messages = fatal
"""


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, None where PostgreSQL is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb")
    return debian[-1] if debian else Path(found).resolve().parent if found else None


@dataclass
class Postgres:
    """A server, with one database for each test that asks."""

    folder: Path
    port: int
    user: str

    def start(self) -> None:
        self._run(
            "pg_ctl", "-w", "-t", "120", "-D", self.data, "-l", self.folder / "log", "-o", f"-p {self.port}", "start"
        )

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-D", self.data, "-m", how, "stop")

    def database(self) -> str:
        """Create an empty database and return its address."""
        name = f"test_{uuid4().hex}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, database: str = "postgres") -> None:
        address = f"host=127.0.0.1 port={self.port} user={self.user} dbname={database}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def create(self) -> None:
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-D", self.data)
        with open(self.data / "postgresql.conf", "a") as configuration:
            configuration.write(SETTINGS)

    def _run(self, program: str, *arguments: object) -> None:
        bin_folder = programs()
        assert bin_folder is not None
        done = subprocess.run(
            [str(bin_folder / program), *map(str, arguments)],
            user=self.user if os.geteuid() == 0 else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        assert done.returncode == 0, done.stdout


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server that ends with the block; as root it runs as another user, as it would refuse to run as root."""
    user = _not_root()
    folder = Path(tempfile.mkdtemp(prefix="matinee-postgresql-"))
    shutil.chown(folder, user)
    server = Postgres(folder, _free_port(), user)
    try:
        server.create()
        server.start()
        yield server
    finally:
        with suppress(AssertionError):  # it never ran, or a test stopped it
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _not_root() -> str:
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
