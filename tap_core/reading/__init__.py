"""Which pages to read, in which order, and when a list has been read to its end."""
