"""Tests of the loader, as a real process with real pipes."""
