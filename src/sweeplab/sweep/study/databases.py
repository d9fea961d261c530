"""Opening the storage of a URL: a database, Optuna's gRPC proxy of one, Redis; each with its driver."""

import copy
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import optuna
import sqlalchemy
import sqlalchemy.exc
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages.journal import JournalRedisBackend
from sqlalchemy.engine import ExceptionContext

from sweeplab.errors import UserError
from sweeplab.secrets import HIDDEN, masked
from sweeplab.sweep.study.reconnecting import ReconnectingStorage, StorageLostError

TABLES_PAUSES = (0.1, 0.3, 1.0, 3.0)  # seconds between attempts, while another controller makes the tables
LOSSES = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError)
SILENCE = 60  # seconds without a byte, after which the machine of a database counts as gone
GRPC_PORT = 13000
GRPC_WAIT = 10.0  # seconds for the proxy to answer the first time
# The URLs that sweeplab has drivers for, and the extra that installs each.
DRIVERS = {
    "postgresql": ("postgresql+psycopg://", "postgres"),
    "mysql": ("mysql+pymysql://", "mysql"),
    "mariadb": ("mysql+pymysql://", "mysql"),
    "grpc": ("grpc://", "grpc"),
}


def connect(url: str) -> BaseStorage:
    """Open the storage that a URL names.

    Raises:
        UserError: its password is missing or misread, or its driver is not installed.
    """
    scheme = url.partition("://")[0]
    _check_password(url)
    if scheme in ("redis", "rediss"):
        return JournalStorage(JournalRedisBackend(url))
    try:
        return reconnecting(_proxy(url) if scheme == "grpc" else _database(url), url)
    except ImportError as error:
        raise UserError(_without_driver(url)) from error


def reconnecting(storage: BaseStorage, url: str = "") -> BaseStorage:
    """Return a storage that survives the loss of its connection, where it has one."""
    name = f"hydra.sweeper.storage={masked(url)}" if url else "hydra.sweeper.storage"
    if isinstance(storage, optuna.storages.GrpcStorageProxy):
        import grpc

        return ReconnectingStorage(storage, name, grpc.RpcError, _grpc_reason, _with_new_channel)
    cached = optuna.storages.get_storage(storage)
    if not isinstance(cached, _CachedStorage):
        return storage
    engine = cached._backend.engine
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # it logs a traceback for each lost connection
    sqlalchemy.event.listen(engine, "handle_error", _losses(engine.url.password))
    return ReconnectingStorage(cached, name)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _losses(password: Any) -> Callable[[ExceptionContext], None]:
    """Return what raises the errors of a lost connection as such: Optuna would make the call again by itself."""

    def handle(context: ExceptionContext) -> None:
        error = context.original_exception
        is_lost = isinstance(context.sqlalchemy_exception, LOSSES)
        if (is_lost or context.is_disconnect) and not context.is_pre_ping:
            reason = str(error.args[-1]) if error.args else ""  # PyMySQL has a number before
            reason = (reason.strip() or type(error).__name__).splitlines()[0]
            raise StorageLostError(masked(reason.replace(str(password), HIDDEN) if password else reason)) from error

    return handle


def _grpc_reason(error: Exception) -> str:
    details = getattr(error, "details", lambda: None)()
    return masked((details or type(error).__name__).splitlines()[0])


def _with_new_channel(proxy: optuna.storages.GrpcStorageProxy) -> BaseStorage:
    """Return a proxy that connects at once; a channel that has failed for a while waits up to two minutes."""
    proxy.close()
    return copy.copy(proxy)


def _proxy(url: str) -> BaseStorage:
    address = urlsplit(url)
    host = f"[{address.hostname}]" if ":" in (address.hostname or "") else address.hostname
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = optuna.storages.GrpcStorageProxy(host=host or "localhost", port=address.port or GRPC_PORT)
    proxy.wait_server_ready(timeout=GRPC_WAIT)
    return proxy


def _database(url: str) -> BaseStorage:
    """Open a database; an empty one gets its tables, unless another controller makes them at this moment."""
    # What is wrong with an old connection is noticed when it is used, and asking before would cost time with each use.
    options: Mapping[str, Any] = {"pool_pre_ping": False, "connect_args": _timeouts(url)}
    for pause in TABLES_PAUSES:
        try:
            return RDBStorage(url, dict(options))
        except sqlalchemy.exc.DBAPIError as error:
            # What databases say of a table, or a type of one, that came between the look and the making.
            if not isinstance(error, sqlalchemy.exc.IntegrityError) and "already exists" not in str(error):
                raise
            time.sleep(pause)
    return RDBStorage(url, dict(options))


def _timeouts(url: str) -> dict[str, int]:
    """Return the arguments of a driver by which it notices a silent server; without them it waits for hours."""
    parsed = sqlalchemy.make_url(url)
    arguments = {}
    if parsed.drivername == "mysql+pymysql":
        arguments = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), SILENCE)
    elif parsed.drivername == "postgresql+psycopg":  # notices a machine that is gone, not a server that is stopped
        arguments = {"connect_timeout": SILENCE, "tcp_user_timeout": 1000 * SILENCE, "keepalives_count": 3}
        arguments |= dict.fromkeys(("keepalives_idle", "keepalives_interval"), SILENCE // 4)
    return {name: value for name, value in arguments.items() if name not in parsed.query}


def _without_driver(url: str) -> str:
    """Say how to get the driver of a URL."""
    driver, extra = DRIVERS.get(url.partition("://")[0].partition("+")[0], ("", ""))
    storage = f"hydra.sweeper.storage={masked(url)}"
    if not driver:
        return f"{storage} needs a driver that is not installed; SQLAlchemy's documentation names it."
    write = "" if url.startswith(driver) else f", and write {driver}"
    return f"{storage} needs a driver that is not installed: pip install 'sweeplab[{extra}]'{write}."


def _check_password(url: str) -> None:
    """Refuse a password that is missing, and one that drivers would read as a part of the host, and name in errors."""
    where = masked(url)
    if HIDDEN in url:
        raise UserError(
            f"hydra.sweeper.storage={where} has no password: write yours for {HIDDEN}, or keep it out of sight, as in "
            "'hydra.sweeper.storage=${oc.env:SWEEPS}'."
        )
    rest = url.partition("://")[2].partition("?")[0]
    if rest.count("@") > 1:
        raise UserError(f"hydra.sweeper.storage={where}: write each @ in the user name or password as %40.")
