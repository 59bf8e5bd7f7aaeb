"""Where rows go: the DuckDB file, its tables or the files of a lake, and how rows get into them."""
