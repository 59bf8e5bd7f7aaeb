select
    load_id,
    state_id,
    schema as schema_name,
    stream,
    inserted,
    updated,
    unchanged,
    deleted,
    rejected,
    seconds,
    started_at,
    committed_at
from ({{ rows_of('loader', '_singer_loads', ['load_id', 'state_id', 'schema', 'stream', 'inserted', 'updated', 'unchanged', 'deleted', 'rejected', 'seconds', 'started_at', 'committed_at']) }}) as rows_read
