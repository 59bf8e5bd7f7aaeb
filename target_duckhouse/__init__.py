"""Singer target that loads DuckDB, or a lake of Parquet files, correctly and fast.

Messages come in on standard input, rows and state are committed together, and STATE goes out on standard output::

    cli        the command line: load, or one of the commands beside it
    commands   look into a warehouse, and change what it knows of a pipeline
    load       the run: reads blocks of messages and sends each where it belongs
    intake     the records of each stream on their way to DuckDB: checked, spooled, handed over
    commits    what is not committed yet, which STATE covers it, and whether a commit is due
    freshness  how fresh and complete a warehouse is, for schedulers and alerts
    report     the summary of a run, and the contents of a warehouse, for people
    logs       how log lines look, for people and for programs
    settings   the settings: names, types, defaults, meanings
    memory     the bound on the memory of the whole process
    telemetry  what a load tells other programs
    signals    the end at SIGINT and SIGTERM
    names      which names DuckDB takes for the same
    errors     the exception tree and its exit codes

    input/     what arrives
        messages       blocks of lines, and the messages in them
        exact_lines    which lines DuckDB reads without loss, and what the others need
        exact_values   the exact text of one value
        line_types     what a decoder accepts of a line, so that DuckDB keeps it
        json_texts     the values of JSON columns, on their way past DuckDB's JSON writer
        spool          files of records that wait for DuckDB
        batch          the files that a BATCH message lists
        parquet        those of them that are Parquet
        parquet_schema what the schema of such a file says of its columns

    warehouse/ where rows go
        database       the DuckDB file of a run: its transaction, its state, its counts
        connection     opening the file, and handling what is peculiar to DuckDB
        worker         the thread that has DuckDB to itself
        steps          what a run is going to do in the file, and when it opens it
        runs           the runs that load at the same time
        loads          what each run did to each stream
        admission      which streams a run may load, and what is stored of its state
        pipelines      the state of each pipeline, and whose tables are whose
        bookmarks      what a state says of where its tap stands
        named          streams and properties that settings name, and whether they are there
        tables         a stream's table and columns, and how they are written in SQL
        types          from JSON schema to column types, and from a type to a wider one
        metadata       what is remembered about a table from one run to the next
        comments       what people read about tables and columns in their tools
        evolve         creating tables, adding and widening columns
        fitting        rows that wait while another process changes their table
        merge          appending and merging rows
        arrivals       which rows a run has brought
        scopes         rows that are gone from what was read whole
        history        what rows were before
        windows        replacing date windows that are read again
        moment         the time of a commit
        scratch        folders for files that live no longer than a run

        storage        where rows are kept: one interface, and the form "tables"
        indexed        rows in files with an index of their keys: what all lakes have in common
        lake           the form "parquet"
        delta          the form "delta"
        delta_table    a Delta table, and how it gets commits
        delta_changes  what is to change in Delta tables, committed together with the state
        delta_merge    applying such changes: files without the old rows in place of those with them
        files          the Parquet files of a lake: staged, committed, moved
        folder         the folder of a lake, and the part of it where files wait for their commit
        places         a folder, or a bucket of an object store
        lakes          which form each lake has, and whether it is whole
        compaction     merging small files

Imports point down this list of layers: cli, commands, load, intake, commits, input, warehouse. The main thread reads,
checks and spools; everything that touches DuckDB runs in the worker's thread.
"""
