with entries as (
    select
        account,
        member_id,
        min(case when is_visit then happened_at end) as first_visit_at,
        max(case when is_visit then happened_at end) as last_visit_at,
        sum(case when is_visit then 1 else 0 end) as visits,
        sum(earned) as earned,
        sum(burnt) as burnt,
        sum(expired) as expired,
        sum(other) as other
    from {{ ref('int_loyalty_entries') }}
    where member_id is not null
    group by account, member_id
),

known as (
    select account, coalesce(customer_id, phone_key) as member_id, min(created_at) as joined_at, max(points) as points
    from {{ ref('stg_pegke__customers') }}
    where deleted_at is null
    group by account, coalesce(customer_id, phone_key)
),

members as (
    select
        coalesce(entries.account, known.account) as account,
        coalesce(entries.member_id, known.member_id) as member_id,
        known.joined_at,
        known.points,
        entries.first_visit_at,
        entries.last_visit_at,
        coalesce(entries.visits, 0) as visits,
        coalesce(entries.earned, 0) as earned,
        coalesce(entries.burnt, 0) as burnt,
        coalesce(entries.expired, 0) as expired,
        coalesce(entries.other, 0) as other,
        {{ seconds_between('entries.first_visit_at', 'entries.last_visit_at') }} as span_s,
        {{ seconds_between('entries.last_visit_at', as_of()) }} as away_s
    from entries
    full outer join known on known.account = entries.account and known.member_id = entries.member_id
)

select
    account,
    member_id,
    joined_at,
    first_visit_at,
    last_visit_at,
    {{ month_of(day_of('first_visit_at')) }} as cohort_month,
    cast(visits as bigint) as visits,
    cast(floor(away_s / 86400.0) as bigint) as days_since_last_visit,
    cast(case when visits > 1 then {{ divided('span_s * 100', '((visits - 1) * 86400)') }} end * 0.01 as decimal(18,2)) as mean_days_between_visits,
    coalesce(visits >= 3 and away_s >= 14 * 86400 and away_s * (visits - 1) > 2 * span_s, false) as is_at_risk,
    cast(earned as decimal(38,4)) as earned,
    cast(burnt as decimal(38,4)) as burnt,
    cast(expired as decimal(38,4)) as expired,
    cast(earned - burnt - expired + other as decimal(38,4)) as balance,
    cast(round(points, 4) as decimal(38,4)) as vendor_balance
from members
