"""Whole runs: through Meltano, through a pipe, through the demo."""
