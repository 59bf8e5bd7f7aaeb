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
    committed_at,
    requests,
    retries,
    waited_seconds,
    coalesce(failed, false) as failed
from ({{ rows_of('loader', '_singer_loads', ['load_id', 'state_id', 'schema', 'stream', 'inserted', 'updated', 'unchanged', 'deleted', 'rejected', 'seconds', 'started_at', 'committed_at',
    'requests', 'retries', 'waited_seconds', 'failed']) }}) as rows_read
