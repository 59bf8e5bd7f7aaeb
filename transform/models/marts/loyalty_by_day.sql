with entries as (
    select
        *,
        min(case when is_visit then happened_at end) over (partition by account, member_id) as first_visit_at
    from {{ ref('int_loyalty_entries') }}
),

days as (
    select bounds.account, series.moment as date_day
    from (select account, min(date_day) as first_day, max(date_day) as last_day from entries group by account) as bounds
    cross join lateral {{ series('bounds.first_day', 'greatest(bounds.last_day, ' ~ day_of(as_of()) ~ ')', 'day') }} as series
),

sums as (
    select
        account,
        date_day,
        sum(case when is_visit then 1 else 0 end) as visits,
        count(distinct case when is_visit then member_id end) as active_members,
        count(distinct case when is_visit and happened_at = first_visit_at then member_id end) as new_members,
        sum(earned) as earned,
        sum(burnt) as burnt,
        sum(expired) as expired,
        sum(other) as other
    from entries
    group by account, date_day
)

select
    days.account,
    days.date_day,
    cast(coalesce(sums.visits, 0) as bigint) as visits,
    cast(coalesce(sums.active_members, 0) as bigint) as active_members,
    cast(coalesce(sums.new_members, 0) as bigint) as new_members,
    cast(coalesce(sums.earned, 0) as decimal(38,4)) as earned,
    cast(coalesce(sums.burnt, 0) as decimal(38,4)) as burnt,
    cast(coalesce(sums.expired, 0) as decimal(38,4)) as expired,
    cast(coalesce(sums.other, 0) as decimal(38,4)) as other,
    cast(sum(coalesce(sums.earned - sums.burnt - sums.expired + sums.other, 0)) over (partition by days.account order by days.date_day) as decimal(38,4)) as balance
from days
left join sums on sums.account = days.account and sums.date_day = days.date_day
