{# An id may be an e-mail address; where it is hashed, it may be the hash of one. #}
select
    account,
    id as customer_id,
    created as created_at,
    coalesce({{ json_text('metadata', 'email') }}, case when id like '%@%' or {{ matches('id', '^[0-9a-f]{64}$') }} then id end) as email,
    coalesce({{ json_text('metadata', 'phone') }}, {{ json_text('metadata', 'mobile') }}) as phone,
    _deleted_at as deleted_at
from ({{ rows_of('peakium', 'customers', ['id', 'created', 'metadata']) }}) as rows_read
