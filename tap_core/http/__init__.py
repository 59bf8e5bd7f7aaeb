"""One call to an API, however many tries it takes."""
