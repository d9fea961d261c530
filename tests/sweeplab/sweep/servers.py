"""Servers of databases that the tests start for themselves, each with its sockets and files in a folder."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

PASSWORD = "geheim"
INITDB = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
MARIADB = shutil.which("mariadbd") or shutil.which("mysqld")
PROXY = """
import sys, warnings
import optuna
warnings.simplefilter("ignore")
optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A server on a port of its own, which can be stopped as if its machine were switched off, and started again."""

    command: list[str]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="server-"))
        self.data, self.port = self.folder / "data", free_port()
        self.process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to be root's.
        self.other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
        if self.other:
            shutil.chown(self.folder, "nobody")
        self.install()
        self.start()

    def install(self) -> None:
        """Make what a server needs before it is first started."""

    def url(self, name: str) -> str:
        """Make an empty database, and return its URL."""
        raise NotImplementedError

    def run(self, *command: str) -> None:
        subprocess.run(
            [*self.other, *command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.other, *self.command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder
            )
        until = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the server with all its processes."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        try:
            self.check()
        except ImportError:
            raise
        except Exception:  # noqa: BLE001 - each driver has its own
            return False
        return True

    def check(self) -> None:
        """Raise an error if the server does not answer."""
        socket.create_connection(("127.0.0.1", self.port)).close()


class Postgres(Server):
    def install(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self.run(
            str(INITDB), "-D", str(self.data), "-U", "sweeper", "-A", "scram-sha-256", "-N", f"--pwfile={password}"
        )
        options = f"listen_addresses=127.0.0.1 port={self.port} unix_socket_directories={self.folder} fsync=off"
        given = [word for option in options.split() for word in ("-c", option)]
        self.command = [str(Path(str(INITDB)).with_name("postgres")), "-D", str(self.data), *given]

    def _ask(self, statement: str) -> None:
        import psycopg

        where: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, "user": "sweeper", "password": PASSWORD}
        with psycopg.connect(dbname="postgres", autocommit=True, **where) as connection:
            connection.execute(statement.encode())

    def check(self) -> None:
        self._ask("select 1")

    def url(self, name: str) -> str:
        self._ask(f"create database {name}")
        return f"postgresql+psycopg://sweeper:{PASSWORD}@127.0.0.1:{self.port}/{name}"


class MariaDB(Server):
    def install(self) -> None:
        self.run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal"
        )
        self.command = [str(MARIADB), "--no-defaults", f"--datadir={self.data}", f"--socket={self.folder}/socket"]
        self.command += [
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            f"--pid-file={self.folder}/pid",
        ]

    def _ask(self, *statements: str) -> None:
        import pymysql

        with pymysql.connect(unix_socket=f"{self.folder}/socket", user="root") as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def check(self) -> None:
        with socket.socket(socket.AF_UNIX) as probe:  # the driver does not close the socket of a server that is away
            probe.connect(f"{self.folder}/socket")
        self._ask("select 1")

    def url(self, name: str) -> str:
        user = "sweeper@'%'"
        create = f"create user if not exists {user} identified by '{PASSWORD}'"
        self._ask(f"create database {name}", create, f"grant all on {name}.* to {user}")
        return f"mysql+pymysql://sweeper:{PASSWORD}@127.0.0.1:{self.port}/{name}"


class GrpcProxy(Server):
    """Optuna's proxy before a PostgreSQL server that goes on; it has one database."""

    def install(self) -> None:
        self.behind = Postgres()
        self.command = [sys.executable, "-c", PROXY, self.behind.url("behind"), str(self.port)]

    def url(self, name: str) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def remove(self) -> None:
        super().remove()
        self.behind.remove()
