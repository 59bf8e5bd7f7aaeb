select
    account,
    connection,
    product_id,
    option_id,
    availability_id,
    currency,
    min(product_name) as product_name,
    min(starts_at) as starts_at,
    min(departure_date) as departure_date,
    count(*) as bookings,
    cast(sum(gross) as decimal(38,4)) as gross,
    cast(sum(refunds) as decimal(38,4)) as refunds,
    cast(sum(fees) as decimal(38,4)) as fees,
    cast(sum(gross) - sum(refunds) - sum(fees) as decimal(38,4)) as net
from {{ ref('int_bookings') }}
where is_confirmed and product_id is not null and option_id is not null and availability_id is not null
group by account, connection, product_id, option_id, availability_id, currency
