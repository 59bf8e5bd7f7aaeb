"""One row, from the vendor's form to ours."""
