select
    date_day,
    vendor,
    account,
    currency,
    payment_method,
    cast(sum(payments) as bigint) as payments,
    cast(sum(refunded_payments) as bigint) as refunded_payments,
    cast(sum(gross) as decimal(38,4)) as gross,
    cast(sum(refunds) as decimal(38,4)) as refunds,
    cast(sum(fees) as decimal(38,4)) as fees,
    cast(sum(gross) - sum(refunds) - sum(fees) as decimal(38,4)) as net
from {{ ref('int_money') }}
group by date_day, vendor, account, currency, payment_method
