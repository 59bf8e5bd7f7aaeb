"""What runs around the project: the demo, and the parts of the pages that are made from the code."""
