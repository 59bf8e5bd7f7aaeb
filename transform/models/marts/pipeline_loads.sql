select
    load_id,
    state_id as pipeline,
    schema_name as vendor,
    stream,
    started_at,
    committed_at,
    {{ day_of('committed_at') }} as load_date,
    inserted + updated + unchanged + rejected as rows_read,
    inserted,
    updated,
    unchanged,
    deleted,
    rejected,
    seconds,
    {{ hours_between('lag(committed_at) over (partition by schema_name, stream order by committed_at)', 'committed_at') }} as hours_since_previous
from {{ ref('stg_loader__loads') }}
