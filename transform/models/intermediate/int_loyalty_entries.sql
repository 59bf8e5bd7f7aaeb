{# Every entry once, however many of the three histories it is in. #}
with entries as (
    select account, 1 as place, entry_id, entry_type, points, coalesce(customer_id, phone_key) as member_id, happened_at
    from {{ ref('stg_pegke__points_history') }} where deleted_at is null
    union all
    select account, 2, entry_id, entry_type, points, coalesce(customer_id, phone), happened_at
    from {{ ref('stg_pegke__store_history') }} where deleted_at is null
    union all
    select account, 3, entry_id, entry_type, points, coalesce(customer_id, phone), happened_at
    from {{ ref('stg_pegke__user_history') }} where deleted_at is null
),

numbered as (
    select *, row_number() over (partition by account, entry_id order by place, member_id) as number
    from entries
    where happened_at is not null
)

select
    numbered.account,
    numbered.entry_id,
    numbered.member_id,
    numbered.happened_at,
    {{ day_of('numbered.happened_at') }} as date_day,
    coalesce(types.is_visit, false) as is_visit,
    cast(case when types.movement = 'earned' then coalesce(points, 0) else 0 end as decimal(38,4)) as earned,
    cast(case when types.movement = 'burnt' then abs(coalesce(points, 0)) else 0 end as decimal(38,4)) as burnt,
    cast(case when types.movement = 'expired' then abs(coalesce(points, 0)) else 0 end as decimal(38,4)) as expired,
    cast(case when coalesce(types.movement, 'other') = 'other' then coalesce(points, 0) else 0 end as decimal(38,4)) as other
from numbered
left join {{ ref('loyalty_entry_types') }} as types on types.entry_type = numbered.entry_type
where numbered.number = 1
