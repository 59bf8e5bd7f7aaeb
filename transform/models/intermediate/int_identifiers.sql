{# The e-mail addresses and phone numbers of the vendors' records of customers, in one form; what is neither is left out. Hashes stay as they are.

   Under `pii: drop` nothing is left of Pegke's customers but their key, a hash: it is no identifier then. #}
with written as (
    select 'peakium' as vendor, account, customer_id as record_id, 'email' as kind, email as written, created_at as seen_at
    from {{ ref('stg_peakium__customers') }} where deleted_at is null
    union all
    select 'peakium', account, customer_id, 'phone', phone, created_at
    from {{ ref('stg_peakium__customers') }} where deleted_at is null
    union all
    select 'pegke', account, phone_key, 'email', email, created_at
    from {{ ref('stg_pegke__customers') }} where deleted_at is null
    union all
    select 'pegke', account, phone_key, 'phone', case when {{ matches('phone_key', '^[0-9a-f]{64}$') }} and customer_id is null and email is null then null else phone_key end, created_at
    from {{ ref('stg_pegke__customers') }} where deleted_at is null
    union all
    select 'peek', account, connection || ':' || booking_uuid, 'email', email, coalesce(created_at, confirmed_at)
    from {{ ref('stg_peek__bookings') }} where deleted_at is null
    union all
    select 'peek', account, connection || ':' || booking_uuid, 'phone', phone, coalesce(created_at, confirmed_at)
    from {{ ref('stg_peek__bookings') }} where deleted_at is null
    {% for kind, column in [('email', 'email'), ('email', 'billing_email'), ('phone', 'phone'), ('phone', 'billing_phone')] %}
    union all
    select 'peerassist', account, cast(customer_id as text), '{{ kind }}', {{ column }}, cast(null as timestamp)
    from {{ ref('stg_peerassist__customers') }} where deleted_at is null
    {% endfor %}
),

normalised as (
    select
        vendor,
        account,
        record_id,
        kind,
        seen_at,
        {{ matches('written', '^[0-9a-f]{64}$') }} as is_hash,
        case
            when {{ matches('written', '^[0-9a-f]{64}$') }} then written
            when kind = 'email' then {{ normal_email('written') }}
            when vendor = 'peerassist' then {{ normal_phone('written', var('peerassist_calling_code')) }}
            else {{ normal_phone('written') }}
        end as identifier
    from written
    where written is not null
)

select vendor, account, record_id, kind, identifier, is_hash, min(seen_at) as seen_at
from normalised
where identifier is not null
group by vendor, account, record_id, kind, identifier, is_hash
