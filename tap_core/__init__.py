"""The engine of the taps: everything that is the same for every API. This page is its map.

A run, from the outside in:

    tap         builds a session and its streams, and is known by none of them
    early       what comes before the imports
    cli         the command line: options, exit codes, one line for what goes wrong
    run         the run over all streams: what a failure costs, when bookmarks move
    probe       the connection test: can each stream be read?
    plan        what a run would do; plan_text shows it
    group       one stream that calls the API, and the streams made from its responses
    acceptance  the suite that every tap passes
    testing     runs a tap as its users do, and reads what it wrote

The folders are the stages of a record's path:

    config/     what a user provides: settings, environment, catalog, guesses about the API, secrets
    http/       one call, however many tries it takes: transport, credentials, retries, call budget
    reading/    which pages and windows to read, in which order, and when a list has been read to its end
    records/    one row, from the vendor's form to ours: schema, transforms, policy, the fast path and the slow path
    output/     what leaves: Singer messages on standard output, progress on standard error, metrics and spans
    session/    what the streams of one run share: clients, bookmarks, losses, signals, the loop, progress
    streams/    what a vendor declares: the base classes of its streams

Next to them is what all of them use: `errors` (the exception tree and its exit codes), `clock` (the only place that
tells the time and waits), `timestamps` (every form of a time), `codec` (JSON), `workers` (threads for what blocks).

A folder imports from those that it needs and never the other way round; ``tests/test_architecture.py`` knows the
allowed arrows. The path of a page of bytes, step by step, is in ``docs/architecture.md``.
"""
