with visits as (
    select
        *,
        {{ month_of('date_day') }} as date_month,
        {{ month_of('min(date_day) over (partition by account, member_id)') }} as cohort_month
    from {{ ref('int_loyalty_entries') }}
    where is_visit and member_id is not null
),

cohorts as (
    select account, cohort_month, count(distinct member_id) as members from visits group by account, cohort_month
),

months as (
    select cohorts.*, series.moment as date_month
    from cohorts
    cross join lateral {{ series('cohorts.cohort_month', month_of(day_of(as_of())), 'month') }} as series
),

active as (
    select
        account,
        cohort_month,
        date_month,
        count(distinct member_id) as members,
        count(*) as visits,
        sum(earned) as earned,
        sum(burnt) as burnt
    from visits
    group by account, cohort_month, date_month
)

select
    months.account,
    months.cohort_month,
    {{ months_between('months.cohort_month', 'months.date_month') }} as month_number,
    months.date_month,
    cast(months.members as bigint) as members,
    cast(coalesce(active.members, 0) as bigint) as active_members,
    cast(coalesce(active.visits, 0) as bigint) as visits,
    cast(coalesce(active.earned, 0) as decimal(38,4)) as earned,
    cast(coalesce(active.burnt, 0) as decimal(38,4)) as burnt
from months
left join active
    on active.account = months.account and active.cohort_month = months.cohort_month and active.date_month = months.date_month
