"""The base classes that a vendor's streams derive from."""
