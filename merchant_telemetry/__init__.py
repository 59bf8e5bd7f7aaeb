"""What a run tells other programs about itself, the same for the taps and the loader.

Nothing is told unless someone asks for it::

    telemetry  one run: what was asked for, and when it is told
    metrics    what a metric is, and what was measured
    textfile   a file in Prometheus' text format, for node_exporter's textfile collector; needs no library
    otlp       spans and metrics by OTLP over HTTP; the only module that imports OpenTelemetry (extra ``otel``)

Names of streams, programs and pipelines are told, and numbers. URLs, settings, bookmarks, records and the texts of
errors are not: personal data or a secret may stand in any of them.
"""
