"""The nine streams of premiumpay, by what is asked for: lists, spans of time, and the state of the server."""
