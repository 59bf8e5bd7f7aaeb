with active as (
    select
        *,
        min(case when mrr > 0 then date_month end) over (partition by account, customer_id, currency) as first_month
    from {{ ref('int_subscription_months') }}
),

before as (
    select account, customer_id, currency, cast(date_month + interval '1 month' as date) as date_month, mrr
    from active
    where cast(date_month + interval '1 month' as date) <= {{ month_of(as_of()) }}
),

changes as (
    select
        coalesce(active.account, before.account) as account,
        coalesce(active.date_month, before.date_month) as date_month,
        coalesce(active.currency, before.currency) as currency,
        coalesce(before.mrr, 0) as opening,
        coalesce(active.mrr, 0) as closing,
        coalesce(active.date_month = active.first_month, false) as is_first,
        coalesce(active.subscriptions, 0) as subscriptions,
        coalesce(active.unpriced_subscriptions, 0) as unpriced_subscriptions
    from active
    full outer join before
        on before.account = active.account
        and before.customer_id = active.customer_id
        and before.currency = active.currency
        and before.date_month = active.date_month
),

sums as (
    select
        account,
        date_month,
        currency,
        sum(opening) as opening_mrr,
        sum(case when opening = 0 and is_first then closing else 0 end) as new_mrr,
        sum(case when opening > 0 and closing > opening then closing - opening else 0 end) as expansion_mrr,
        sum(case when closing > 0 and closing < opening then opening - closing else 0 end) as contraction_mrr,
        sum(case when closing = 0 then opening else 0 end) as churned_mrr,
        sum(case when opening = 0 and not is_first then closing else 0 end) as reactivation_mrr,
        sum(closing) as closing_mrr,
        sum(subscriptions) as subscriptions,
        sum(case when closing > 0 then 1 else 0 end) as paying_customers,
        sum(case when opening = 0 and closing > 0 and is_first then 1 else 0 end) as new_customers,
        sum(case when opening > 0 and closing = 0 then 1 else 0 end) as churned_customers,
        sum(case when opening = 0 and closing > 0 and not is_first then 1 else 0 end) as reactivated_customers,
        sum(unpriced_subscriptions) as unpriced_subscriptions
    from changes
    group by account, date_month, currency
),

currencies as (
    select account, currency, min(date_month) as first_month from sums group by account, currency
),

months as (
    select currencies.account, currencies.currency, series.moment as date_month
    from currencies
    cross join lateral {{ series('currencies.first_month', month_of(as_of()), 'month') }} as series
)

select
    months.account,
    months.date_month,
    months.currency,
    {% for name in ['opening_mrr', 'new_mrr', 'expansion_mrr', 'contraction_mrr', 'churned_mrr', 'reactivation_mrr', 'closing_mrr'] -%}
    cast(coalesce(sums.{{ name }}, 0) as decimal(38,4)) as {{ name }},
    {% endfor -%}
    {% for name in ['subscriptions', 'paying_customers', 'new_customers', 'churned_customers', 'reactivated_customers', 'unpriced_subscriptions'] -%}
    cast(coalesce(sums.{{ name }}, 0) as bigint) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from months
left join sums
    on sums.account = months.account and sums.date_month = months.date_month and sums.currency = months.currency
