"""Singer target that loads DuckDB, correctly and fast."""
