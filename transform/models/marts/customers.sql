with identifiers as (
    select * from {{ ref('int_customer_identifiers') }} where customer_key is not null
),

agreeing as (
    select
        customer_key,
        max(case when kind = 'email' then 1 else 0 end) as emails,
        max(case when kind = 'phone' then 1 else 0 end) as phones
    from (
        select customer_key, kind, identifier
        from identifiers
        group by customer_key, kind, identifier
        having count(distinct vendor || ':' || account) > 1
    ) as told_twice
    group by customer_key
)

select
    identifiers.customer_key,
    min(case when kind = 'email' then identifier end) as email,
    min(case when kind = 'phone' then identifier end) as phone,
    count(distinct case when kind = 'email' then identifier end) as emails,
    count(distinct case when kind = 'phone' then identifier end) as phones,
    count(distinct vendor) as vendors,
    count(distinct vendor || ':' || account) as accounts,
    count(distinct case when vendor = 'peakium' then account || ':' || record_id end) as peakium_customers,
    count(distinct case when vendor = 'peerassist' then account || ':' || record_id end) as peerassist_customers,
    count(distinct case when vendor = 'pegke' then account || ':' || record_id end) as pegke_members,
    count(distinct case when vendor = 'peek' then account || ':' || record_id end) as peek_bookings,
    case
        when max(agreeing.emails) = 1 and max(agreeing.phones) = 1 then 'email and phone'
        when max(agreeing.emails) = 1 then 'email'
        when max(agreeing.phones) = 1 then 'phone'
        else 'none'
    end as matched_by,
    case
        when max(agreeing.emails) = 1 and max(agreeing.phones) = 1 then 'high'
        when max(agreeing.emails) = 1 then 'medium'
        when max(agreeing.phones) = 1 then 'low'
        else 'none'
    end as confidence,
    min(seen_at) as first_seen_at
from identifiers
left join agreeing on agreeing.customer_key = identifiers.customer_key
group by identifiers.customer_key
