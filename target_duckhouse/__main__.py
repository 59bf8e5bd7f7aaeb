"""``python -m target_duckhouse``."""

from target_duckhouse.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
