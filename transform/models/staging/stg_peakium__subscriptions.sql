{# The price is that of the plan, or the sum of its items; it is the list price, because the unit of the discount is not known. #}
with subscriptions as (
    {{ rows_of('peakium', 'subscriptions', ['customer_id', 'token', 'created', 'plan', 'period_start', 'period_end', 'status']) }}
),

items as (
    select
        subscriptions.account,
        subscriptions.customer_id,
        subscriptions.token,
        sum({{ to_number(json_text('items.item', 'unit_amount'), 'decimal(38,0)') }}
            * coalesce({{ to_number(json_text('items.item', 'quantity'), 'decimal(38,0)') }}, 1)) as minor_units,
        min({{ json_text('items.item', 'currency') }}) as currency
    from subscriptions
    cross join lateral {{ json_items(json_member('subscriptions.plan', 'items'), 'items') }}
    group by subscriptions.account, subscriptions.customer_id, subscriptions.token
),

priced as (
    select
        subscriptions.*,
        coalesce({{ to_number(json_text('plan', 'amount'), 'decimal(38,0)') }}, items.minor_units) as minor_units,
        coalesce({{ json_text('plan', 'currency') }}, items.currency) as written_currency,
        {{ json_text('plan', 'period_type') }} as period_type,
        coalesce({{ to_number(json_text('plan', 'period_amount'), 'bigint') }}, 1) as periods
    from subscriptions
    left join items using (account, customer_id, token)
)

select
    priced.account,
    priced.customer_id,
    priced.token,
    priced.created as created_at,
    priced.period_start as period_starts_at,
    priced.period_end as period_ends_at,
    priced.status,
    {{ currency_code('priced.written_currency', 'aliases.currency') }} as currency,
    cast(priced.minor_units as decimal(38,0)) as minor_units,
    priced.period_type,
    priced.periods,
    priced._deleted_at as deleted_at
from priced
left join {{ ref('currency_aliases') }} as aliases on aliases.written = priced.written_currency
