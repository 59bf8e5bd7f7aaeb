{# Who had which MRR at the end of which month: one row per account, customer, currency and month in which a subscription was active. #}
with events as (
    select
        account,
        customer_id,
        token,
        min(case when kind = 'subscription_created' then happened_at end) as created_at,
        max(case when kind = 'subscription_cancelled' then happened_at end) as cancelled_at
    from {{ ref('stg_peakium__events') }}
    where token is not null
    group by account, customer_id, token
),

spans as (
    select
        subscriptions.account,
        subscriptions.customer_id,
        subscriptions.currency,
        coalesce(subscriptions.created_at, events.created_at, subscriptions.period_starts_at) as starts_at,
        least(
            case when subscriptions.status = 'cancelled' then coalesce(events.cancelled_at, subscriptions.period_ends_at) end,
            subscriptions.deleted_at
        ) as ends_at,
        {{ from_minor_units(divided('subscriptions.minor_units * periods.per_months', '(periods.months * nullif(subscriptions.periods, 0))'), 'currencies.minor_digits') }} as mrr
    from {{ ref('stg_peakium__subscriptions') }} as subscriptions
    left join events
        on events.account = subscriptions.account and events.customer_id = subscriptions.customer_id and events.token = subscriptions.token
    left join {{ ref('billing_periods') }} as periods on periods.period_type = subscriptions.period_type
    left join {{ ref('currencies') }} as currencies on currencies.currency = subscriptions.currency
),

bounds as (
    select min(starts_at) as first_start from spans
),

months as (
    select
        series.moment as date_month,
        least(cast(series.moment + interval '1 month' as timestamp), {{ as_of() }}) as ends_before
    from bounds
    cross join lateral {{ series(month_of('bounds.first_start'), month_of(as_of()), 'month') }} as series
)

select
    spans.account,
    spans.customer_id,
    spans.currency,
    months.date_month,
    cast(sum(coalesce(spans.mrr, 0)) as decimal(38,4)) as mrr,
    count(*) as subscriptions,
    count(*) - count(spans.mrr) as unpriced_subscriptions
from spans
inner join months on spans.starts_at < months.ends_before and (spans.ends_at is null or spans.ends_at >= months.ends_before)
group by spans.account, spans.customer_id, spans.currency, months.date_month
