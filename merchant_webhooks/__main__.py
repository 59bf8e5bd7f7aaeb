"""``merchant-webhooks`` and ``python -m merchant_webhooks``."""

import faulthandler
import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command."""
    if sys.stderr is not None:
        faulthandler.enable()
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    from merchant_webhooks.cli import run  # noqa: PLC0415  signals are handled before the imports that take time

    sys.exit(run())


if __name__ == "__main__":
    main()
