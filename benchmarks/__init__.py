"""Measurements side by side: ``python -m benchmarks``.

cases/          what is compared: extraction, warehouse, latency, growth, the taps against the sandbox, the loader alone
plan            how much is measured, and the median of rounds
programs        the command lines of the programs that are compared
measure         runs a pipeline and says what it cost
api, schema     the local API that all of them read
limits, vendor  what no program can beat, and a tap of ours for that API
peers/          other projects' programs, which run in `environments` of their own
results         what was measured; page and chart show it
http_clients    a comparison of its own, for docs/http-client.md
"""
