"""Peakium: payments."""
