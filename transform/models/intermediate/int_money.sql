{# Every movement of money once: premiumpay's other streams repeat its sales, and a payment session of Peakium is how an invoice gets paid. #}
select
    'peakium' as vendor,
    account,
    {{ day_of('charged_at') }} as date_day,
    currency,
    'unknown' as payment_method,
    1 as payments,
    case when refunded <> 0 then 1 else 0 end as refunded_payments,
    coalesce(charged, 0) as gross,
    coalesce(refunded, 0) as refunds,
    {{ zero() }} as fees
from {{ ref('stg_peakium__invoices') }}
where deleted_at is null and is_charged

union all

select
    'premiumpay',
    account,
    {{ day_of('sold_at') }},
    currency,
    payment_method,
    1,
    0,
    coalesce(amount, 0),
    {{ zero() }},
    {{ zero() }}
from {{ ref('stg_premiumpay__sales') }}
where deleted_at is null

union all

select
    'peek',
    account,
    confirmed_date,
    currency,
    'unknown',
    1,
    0,
    gross,
    {{ zero() }},
    commission
from {{ ref('int_bookings') }}
where is_confirmed

union all

select
    'peek',
    account,
    {{ day_of('coalesce(cancelled_at, confirmed_at)') }},
    currency,
    'unknown',
    0,
    1,
    {{ zero() }},
    refunds,
    -commission
from {{ ref('int_bookings') }}
where is_refunded
