"""The figures of every mart, computed again from the sandbox's truth; nothing here knows the models' SQL."""
