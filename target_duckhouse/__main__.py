"""``target-duckhouse`` and ``python -m target_duckhouse``."""

import faulthandler
import gc
import sys
from typing import NoReturn

from target_duckhouse.signals import handle_signals

__all__ = ["main"]

_YOUNG_OBJECTS = 50_000
"""New objects after which Python looks for cycles: neither imports nor a block of records leave any to speak of."""


def main() -> NoReturn:
    """Run the command line, or say in one line that the extra with DuckDB is not installed."""
    if sys.stderr is not None:  # the process may have been started without it
        faulthandler.enable()  # a crash of DuckDB says where it happened
    handle_signals()
    gc.set_threshold(_YOUNG_OBJECTS)
    try:
        from target_duckhouse.cli import main as run  # noqa: PLC0415  takes most of a second, and may fail
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        sys.exit("target-duckhouse: duckdb is missing; in a clone of the project: pip install '.[loader]'")
    run()


if __name__ == "__main__":
    main()
