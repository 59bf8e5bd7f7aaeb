with active as (
    select
        *,
        min(date_month) over (partition by account, customer_id, currency) as cohort_month
    from {{ ref('int_subscription_months') }}
    where mrr > 0
),

cohorts as (
    select account, cohort_month, currency, count(*) as customers, sum(mrr) as initial_mrr
    from active
    where date_month = cohort_month
    group by account, cohort_month, currency
),

months as (
    select cohorts.*, series.moment as date_month
    from cohorts
    cross join lateral {{ series('cohorts.cohort_month', month_of(as_of()), 'month') }} as series
),

later as (
    select account, cohort_month, currency, date_month, count(*) as customers, sum(mrr) as mrr
    from active
    group by account, cohort_month, currency, date_month
)

select
    months.account,
    months.cohort_month,
    months.currency,
    {{ months_between('months.cohort_month', 'months.date_month') }} as month_number,
    months.date_month,
    cast(months.customers as bigint) as customers,
    cast(coalesce(later.customers, 0) as bigint) as retained_customers,
    cast(months.initial_mrr as decimal(38,4)) as initial_mrr,
    cast(coalesce(later.mrr, 0) as decimal(38,4)) as mrr
from months
left join later
    on later.account = months.account
    and later.cohort_month = months.cohort_month
    and later.currency = months.currency
    and later.date_month = months.date_month
