with records as (
    select 'peakium' as vendor, account, count(*) as records from {{ ref('stg_peakium__customers') }} where deleted_at is null group by account
    union all
    select 'peerassist', account, count(*) from {{ ref('stg_peerassist__customers') }} where deleted_at is null group by account
    union all
    select 'pegke', account, count(*) from {{ ref('stg_pegke__customers') }} where deleted_at is null group by account
    union all
    select 'peek', account, count(*) from {{ ref('stg_peek__bookings') }} where deleted_at is null group by account
),

identified as (
    select
        identifiers.vendor,
        identifiers.account,
        count(distinct case when kind = 'email' then record_id end) as with_email,
        count(distinct case when kind = 'phone' then record_id end) as with_phone,
        count(distinct case when is_hash then record_id end) as hashed,
        count(distinct case when identifiers.customer_key is null then kind || identifier end) as shared_identifiers,
        count(distinct identifiers.customer_key) as customers,
        count(distinct case when customers.vendors > 1 then identifiers.customer_key end) as matched_customers
    from {{ ref('int_customer_identifiers') }} as identifiers
    left join {{ ref('customers') }} as customers on customers.customer_key = identifiers.customer_key
    group by identifiers.vendor, identifiers.account
)

select
    accounts.vendor,
    accounts.account,
    coalesce(records.records, 0) as records,
    coalesce(identified.with_email, 0) as with_email,
    coalesce(identified.with_phone, 0) as with_phone,
    coalesce(identified.hashed, 0) as hashed,
    coalesce(identified.shared_identifiers, 0) as shared_identifiers,
    coalesce(identified.customers, 0) as customers,
    coalesce(identified.matched_customers, 0) as matched_customers,
    identified.vendor is not null as can_match,
    case
        when accounts.vendor = 'premiumpay' then 'premiumpay tells nothing of its buyers.'
        when records.records is null then 'No customers of this account have been read.'
        when identified.vendor is null then 'No record has an e-mail address or a phone number (with pii: drop, none can), so its customers cannot be matched.'
        when identified.hashed > 0 then 'Matched by hashes, which agree only if all taps have the same pii_key.'
    end as note
from {{ ref('stg_accounts') }} as accounts
left join records on records.vendor = accounts.vendor and records.account = accounts.account
left join identified on identified.vendor = accounts.vendor and identified.account = accounts.account
