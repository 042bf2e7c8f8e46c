"""Live ratings in a PostgreSQL database, shared by any number of machines.

Writers take turns by an advisory lock of the transaction, which the server releases after the commit is on disk, or
when it loses its client. Every connection is tried before it is used, so a server that comes back is used at once.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from matinee.errors import BusyError, LiveError, UsageError
from matinee.live.database import PATIENCE

CONNECTIONS, MORE_CONNECTIONS = 5, 15  # kept open, and opened beyond them while many ask at once; by each process
CONNECT = {  # seconds, and milliseconds for the last: until a server that does not answer counts as gone
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
SESSION = (
    "SET synchronous_commit = on; "  # an acknowledged commit is on disk, whatever the server's default
    f"SET lock_timeout = '{PATIENCE:g}s'; "
    "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"  # a machine that died
)

_REASONS = {  # by the first characters of the SQLSTATE
    "28": "the server refuses the user or password; check the address",
    "3D": "no such database; create it with createdb",
    "42P01": "its tables are gone; restore a backup, or restart a server to create empty ones",
    "42501": "the user lacks a privilege; grant it all on the database and its schema public",
    "25006": "the server is read-only, perhaps a standby; name the primary",
    "53100": "the server's disk is full; make room and try again",
    "53300": "the server has too many clients; raise its max_connections or start fewer workers",
    "55P03": f"another process has held the lock for {PATIENCE:g} seconds; look for one that hangs",
    "57P": "the server is shutting down or starting; wait, or start it",
}

_REFUSALS = {  # a server that refuses a connection sends no SQLSTATE, only words
    "28": re.compile("authentication failed|role .* does not exist|not permitted to log in|pg_hba.conf"),
    "3D": re.compile("database .* does not exist"),
    "53300": re.compile("too many|connection slots"),
    "57P": re.compile("starting up|shutting down|not yet accepting|in recovery"),
}


class PostgresServer:
    """A Database in PostgreSQL.

    url       postgresql+psycopg://USER:PASSWORD@HOST/DATABASE
    prepare   called in the first write transaction, with the connection and the database's name
    """

    def __init__(self, url: str, prepare: Callable[[Connection, str], None]) -> None:
        self._engine = _engine(url)
        self.name = self._engine.url.render_as_string(hide_password=True)
        self._single = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._moment = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            with self.writing() as connection:
                prepare(connection, self.name)
        except BaseException:
            self.close()
            raise

    def rows(self, query: Any, **parameters: Any) -> Sequence[Any]:
        with self._reported(), self._single.connect() as connection:
            return connection.execute(query, parameters).all()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._reported(), self._moment.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._reported(), self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key("write")})
            yield connection

    @contextmanager
    def lock(self, name: str, *, wait: bool) -> Iterator[None]:
        with self._reported():
            connection = self._single.connect()
        try:
            with self._reported():
                if wait:
                    patient: Any = connection.connection.driver_connection
                    patient.silence = math.inf
                    connection.execute(text("SET lock_timeout = 0"))
                    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _key(name)})
                elif not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _key(name)}):
                    raise BusyError(f"live ratings {self.name}: another process has held {name}; wait for it to end")
            yield
        finally:
            connection.invalidate()  # the server drops the lock with the connection
            connection.close()

    def erase(self) -> bool:
        """Do nothing: the files are the server's, and its administrator configures VACUUM and WAL."""
        return True

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn errors of the server and the network into LiveError."""
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            raise LiveError(f"live ratings {self.name}: {_reason(error)}") from error


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(
            make_url(url),
            pool_pre_ping=True,
            pool_size=CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=PATIENCE,
            connect_args=CONNECT,
        )
    except ModuleNotFoundError:
        raise UsageError("PostgreSQL needs psycopg: install it with `pip install 'matinee[postgresql]'`") from None
    except (ArgumentError, ValueError):
        raise UsageError(
            "the address of the live ratings is invalid; write postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, "
            "with %40 for an @ in the password"
        ) from None
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", _set_up)
    return engine


def _connect(_: object, __: object, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    from matinee.live.patience import ImpatientConnection  # needs psycopg, as only PostgreSQL does

    return ImpatientConnection.connect(*arguments, **options)


def _set_up(connection: Any, _: object) -> None:
    connection.autocommit = True
    connection.execute(SESSION)
    connection.autocommit = False


def _key(name: str) -> int:
    """Return the number of a lock: PostgreSQL's have 64 bits instead of names."""
    return int.from_bytes(hashlib.sha256(f"matinee {name}".encode()).digest()[:8], "big", signed=True)


def _reason(error: Exception) -> str:
    """Return the cause and the remedy."""
    if isinstance(error, PoolTimeoutError):
        return f"all connections were busy for {PATIENCE:g} seconds; try again, or start more workers"
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = " ".join(str(cause).split())
    code = getattr(cause, "sqlstate", None) or _refused(said)
    known = next((reason for prefix, reason in _REASONS.items() if code.startswith(prefix)), None)
    if isinstance(error, OperationalError | InterfaceError) and not code:
        return f"cannot reach the server ({said}); start it or check the address"
    return known or (f"{said} (SQLSTATE {code})" if code else said)


def _refused(said: str) -> str:
    """Return the beginning of the SQLSTATE of a refused connection, "" for other errors."""
    words = said.rpartition("FATAL: ")[2]
    return next((code for code, kind in _REFUSALS.items() if words != said and kind.search(words)), "")
