"""A PostgreSQL server of a test's own, and the ecosystem's loader for it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``, None where there is no server program."""
    found = [Path(path).resolve().parent for name in ("initdb",) if (path := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        port: Where it listens on the loopback interface.
    """

    port: int

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres") as connection:
            return connection.execute(sql.encode()).fetchall()

    def settings(self, schema: str) -> dict[str, object]:
        """Settings of ``target-postgres`` that lead here."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "postgres",
            "password": "unused",
            "database": "postgres",
            "default_target_schema": schema,
            "use_copy": True,
            "validate_records": False,
        }


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Start a server whose data is in a folder, and stop it."""
    # The server refuses to run as root; Debian's package makes a user for it.
    owner: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp" if owner else folder) as made:
        data = Path(made) / "data"
        data.mkdir()
        if owner:
            account = pwd.getpwnam("postgres")
            for path in (Path(made), data):
                os.chown(path, account.pw_uid, account.pw_gid)
        bin_folder = programs()
        assert bin_folder
        create: list[str | Path] = [
            bin_folder / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd="/", **owner)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        control: list[str | Path] = [bin_folder / "pg_ctl", "-D", data, "-w", "-l", data / "log"]
        options = f"-F -h 127.0.0.1 -p {port} -k {data}"
        subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/", **owner)
        try:
            yield Server(port)
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd="/", **owner
            )


def target_postgres() -> Path:
    """The loader's command, in an environment of its own beside the project's."""
    folder = Path(sys.prefix) / "target-postgres"
    command = folder / "bin" / "target-postgres"
    if not command.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        constraints = ["--constraint", ROOT / "constraints.txt"]
        install = [uv, "pip", "install", "--quiet", *constraints, "--python", folder / "bin" / "python"]
        subprocess.run([str(part) for part in (*install, "meltanolabs-target-postgres")], check=True)
    return command
