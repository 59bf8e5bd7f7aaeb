"""Pegke: loyalty points."""
