"""The streams of Pegke, by the part of the API that they belong to."""
