"""The taps, the loader and the dbt models as Dagster assets.

`pipeline` runs ``tap | loader`` as processes and knows nothing of Dagster; `assets` makes an asset of each stream,
`backfill` a job of each past month or connection, `freshness` a sensor, `models` the assets of dbt; `definitions` puts
them together and is the file to edit.
"""
