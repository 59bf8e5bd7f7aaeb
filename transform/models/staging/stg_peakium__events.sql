{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['account', 'event_id'],
    post_hook="{{ remove_gone('peakium', 'events', {'event_id': 'id'}) }}",
) }}

{# Only the events that a mart asks for. The snapshot is in `data.object`, or, in the older form, in `data`. #}
with events as (
    select *, replace(event, '.', '_') as kind
    from ({{ rows_of('peakium', 'events', ['id', 'event', 'created', 'data']) }}) as rows_read
    where replace(event, '.', '_') in ('invoice_payment_failed', 'subscription_created', 'subscription_cancelled')
),

snapshots as (
    select
        events.*,
        case when {{ json_text('data', 'object', 'object') }} is not null then {{ json_member('data', 'object') }} else data end as snapshot
    from events
)

select
    account,
    id as event_id,
    kind,
    created as happened_at,
    {{ json_text('snapshot', 'id') }} as object_id,
    {{ json_text('snapshot', 'token') }} as token,
    coalesce({{ json_text('snapshot', 'customer', 'id') }}, {{ json_text('snapshot', 'customer') }}) as customer_id,
    _deleted_at as deleted_at,
    _loaded_at
from snapshots
