{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['account', 'entry_id'],
    post_hook="{{ remove_gone('pegke', 'user_history', {'entry_id': '_entry_id'}) }}",
) }}

select
    account,
    _entry_id as entry_id,
    type as entry_type,
    cast(round(points, 4) as decimal(38,4)) as points,
    cid as customer_id,
    mob as phone,
    created as happened_at,
    _deleted_at as deleted_at,
    _loaded_at
from ({{ rows_of('pegke', 'user_history', ['_entry_id', 'type', 'points', 'cid', 'mob', 'created']) }}) as rows_read
