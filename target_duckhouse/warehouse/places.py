"""Where the files of a lake are: a folder, or a bucket of an object store that speaks S3."""

from __future__ import annotations

import logging
import os
import re
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from target_duckhouse.errors import LoadError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

__all__ = ["Place", "is_bucket", "place_at"]

_S3 = "s3://"
_USER = re.compile(r"//[^/@\s]*@")


class Place(ABC):
    """The root of a lake. All paths are below it, with slashes.

    Args:
        address: What DuckDB and deltalake call it.
    """

    is_local = True

    def __init__(self, address: str) -> None:
        self.address = address

    def join(self, path: str) -> str:
        """The address of a file or folder."""
        return f"{self.address}/{path}"

    @abstractmethod
    def put(self, file: Path, path: str) -> None:
        """Move a whole file of this machine to its place, in one step that nobody sees half done."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Delete a file if it is there."""

    def exists(self, path: str) -> bool:
        """Whether there is a file."""
        return path in self.find(path.rpartition("/")[0])

    @abstractmethod
    def claim(self, name: str, owner: str) -> None:
        """Say who is the last that began to write under a name; `is_claimed` tells the others."""

    @abstractmethod
    def is_claimed(self, name: str, owner: str) -> bool:
        """Whether nobody has claimed a name since."""

    @abstractmethod
    def find(self, folder: str) -> dict[str, int]:
        """All files in a folder and below it, with their sizes in bytes."""


class _Folder(Place):
    """A folder of this machine."""

    @override
    def put(self, file: Path, path: str) -> None:
        target = Path(self.address) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)

    @override
    def remove(self, path: str) -> None:
        (Path(self.address) / path).unlink(missing_ok=True)

    @override
    def find(self, folder: str) -> dict[str, int]:
        root = Path(self.address)
        return {
            str(file.relative_to(root)): file.stat().st_size
            for each, _, names in os.walk(root / folder, followlinks=True)
            for file in (Path(each) / name for name in names)
        }

    @override
    def claim(self, name: str, owner: str) -> None:
        pass  # a lock keeps others out

    @override
    def is_claimed(self, name: str, owner: str) -> bool:
        return True


class _Bucket(Place):
    """A folder in a bucket. Addresses and credentials come from the usual variables of the environment."""

    is_local = False

    def __init__(self, address: str) -> None:
        super().__init__(address)
        try:
            import s3fs  # noqa: PLC0415  takes a second to load, and need not be installed
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"setting `lake_path`: {error.name} is missing; in a clone of the project: pip install '.[loader,s3]'"
            ) from None
        for name in ("botocore", "aiobotocore"):  # they tell where they found credentials
            logging.getLogger(name).setLevel(logging.WARNING)
        self.files: Any = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)

    @override
    def put(self, file: Path, path: str) -> None:
        with self._told():
            self.files.put_file(str(file), self.join(path))
        file.unlink()

    @override
    def remove(self, path: str) -> None:
        with self._told():
            if self.files.exists(self.join(path)):
                self.files.rm_file(self.join(path))

    @override
    def find(self, folder: str) -> dict[str, int]:
        with self._told():
            found: dict[str, dict[str, Any]] = self.files.find(self.join(folder), detail=True)
        root = f"{self.address.removeprefix(_S3)}/"
        return {name.removeprefix(root): int(entry["size"]) for name, entry in found.items()}

    @override
    def claim(self, name: str, owner: str) -> None:
        with self._told():
            self.files.pipe_file(self.join(name), owner.encode())

    @override
    def is_claimed(self, name: str, owner: str) -> bool:
        with self._told():
            return bool(self.files.cat_file(self.join(name)) == owner.encode())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what can go wrong on the way into one line."""
        try:
            yield
        except Exception as error:  # its libraries have a class for each kind of trouble
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LoadError(f"setting `lake_path`: {self.address}: {_USER.sub('//', what)}") from error


def is_bucket(address: str) -> bool:
    """Whether an address is that of a bucket."""
    return address.startswith(_S3)


def place_at(con: duckdb.DuckDBPyConnection, address: str) -> Place:
    """The place at an address, which a connection can read from then on.

    Raises:
        SettingsError: It is a bucket, and what is needed for that is not installed.
    """
    if not is_bucket(address):
        return _Folder(address)
    place = _Bucket(address.rstrip("/"))
    if "s3" not in con.list_filesystems():
        con.register_filesystem(place.files)
    return place
