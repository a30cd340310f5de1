"""Optuna's storages: the databases that a study can lie in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from bench.errors import UserError


def _whole(path: Path) -> bool:
    """Returns whether the file is absent or a sound database; a power cut may leave neither."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path, timeout=60)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # busy or not readable, which is another matter
            raise
        return False


def storage_of(address: str) -> RDBStorage:
    """Returns the storage at an SQLAlchemy address: `sqlite:///FILE`, `postgresql://USER@HOST/NAME`.

    Raises:
      UserError: the address is none, or its driver is not installed.
      sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        url = sqlalchemy.make_url(address)
    except sqlalchemy.exc.ArgumentError:
        raise UserError(f"--storage {address!r} is no address of a database, such as postgresql://USER@HOST/NAME") from None
    options: dict[str, Any] = {"poolclass": sqlalchemy.NullPool}  # no connection outlives its use
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if not _whole(path):
            path.unlink()
        options["connect_args"] = {"timeout": 60}
    elif url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
        # One connection, tested before use: opening one takes longer than writing a trial.
        options = {"pool_size": 1, "pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
    try:
        storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
    except ImportError:
        raise UserError(
            f"--storage {address!r} needs a driver that is not installed: pip install 'augreg-bench[postgresql]'"
        ) from None
    if url.get_backend_name() == "sqlite":
        # Power cuts may cost this file, which the records rebuild; waiting for the disk at every trial would cost minutes.
        sqlalchemy.event.listen(storage.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF"))
    return storage
