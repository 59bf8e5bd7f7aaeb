"""``merchant-sandbox`` and ``python -m merchant_sandbox``."""

import faulthandler
import os
import signal
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; returns the exit code."""
    if sys.stderr is not None:
        faulthandler.enable()
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    from merchant_sandbox.cli import main as run  # noqa: PLC0415  signals are handled before the imports that take time

    return run()


if __name__ == "__main__":
    sys.exit(main())
