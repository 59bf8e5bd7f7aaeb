"""The streams of Peek, by what they are about. Why each is read the way it is, is explained in ``docs/tap-peek.md``."""
