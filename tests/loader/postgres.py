"""A PostgreSQL server of a test's own, and the ecosystem's loader for it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import yaml
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ZONE = "Asia/Kolkata"
"""The server's zone: what is stored must not depend on it."""
LOADERS = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))["plugins"]["loaders"]
PLUGIN: dict[str, Any] = next(plugin for plugin in LOADERS if plugin["name"] == "target-postgres")
"""How ``meltano.yml`` sets the loader."""


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

    def rows(self, table: str, *, gone: bool) -> list[dict[str, Any]]:
        """The rows of a table that are marked as deleted, or those that are not."""
        with psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres") as connection:
            set_json_loads(partial(json.loads, parse_float=Decimal), connection)
            mark = f"_sdc_deleted_at IS {'NOT NULL' if gone else 'NULL'}"
            return (
                connection.cursor(row_factory=dict_row)
                .execute(f"SELECT * FROM {table} WHERE {mark}".encode())
                .fetchall()
            )

    def types(self, schema: str, table: str) -> dict[str, str]:
        """The types of a table's columns, without the loader's own."""
        found = self.query(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE (table_schema, table_name) = ('{schema}', '{table}')"
        )
        return {name: kind for name, kind in found if not name.startswith("_sdc_")}

    def key(self, schema: str, table: str) -> set[str]:
        """The columns of a table's primary key."""
        found = self.query(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) "
            f"WHERE indisprimary AND indrelid = '{schema}.\"{table}\"'::regclass"
        )
        return {name for (name,) in found}

    def load(self, messages: bytes, schema: str, **settings: object) -> None:
        """Load messages with ``target-postgres`` as ``meltano.yml`` sets it, except for some settings."""
        own = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "password": "unused", "database": "postgres"}
        with tempfile.NamedTemporaryFile("w+", suffix=".json") as file:
            json.dump({**PLUGIN["config"], **own, "default_target_schema": schema, **settings}, file)
            file.flush()
            done = subprocess.run(
                [target_postgres(), "--config", file.name],
                input=messages,
                env={**os.environ, **PLUGIN["env"]},
                capture_output=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr.decode()[-2000:]


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
        options = f"-F -h 127.0.0.1 -p {port} -k {data} -c timezone={ZONE}"
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
