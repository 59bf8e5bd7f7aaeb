"""``target-duckhouse`` and ``python -m target_duckhouse``."""

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line, or say in one line that the extra with DuckDB is not installed."""
    try:
        from target_duckhouse.cli import main as run  # noqa: PLC0415  the import is what may fail
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        sys.exit("target-duckhouse: duckdb is missing: pip install 'merchant-taps[loader]'")
    run()


if __name__ == "__main__":
    main()
