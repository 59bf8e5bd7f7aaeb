"""Scripts around the project: the demo, and the parts of the pages that are generated from the code."""
