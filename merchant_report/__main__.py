"""``python -m merchant_report``, and the console script."""

from __future__ import annotations

import faulthandler
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def _stop(number: int, _frame: object) -> NoReturn:
    """End quietly, with the code that shells give; what is half written is removed."""
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; name the extra if it is not installed."""
    if sys.stderr is not None:
        faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        from merchant_report.cli import cli  # noqa: PLC0415 - its libraries may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("merchant_report"):
            raise
        sys.exit(f"merchant-report: {error.name} is not installed: pip install 'merchant-taps[report]'")
    cli()


if __name__ == "__main__":
    main()
