with bookings as (
    select
        *,
        confirmed_at is not null as is_confirmed,
        confirmed_at is not null and (cancelled_at is not null or status = 'CANCELLED') as is_cancelled
    from {{ ref('stg_peek__bookings') }}
    where deleted_at is null
),

scanning as (
    select account, connection, max(case when redeemed_at is not null then 1 else 0 end) = 1 as redeems
    from bookings
    group by account, connection
),

{# A local time's offset is not reliable: the product's time zone tells the moment. #}
priced as (
    select
        bookings.*,
        products.product_name,
        case when products.time_zone is null then null else {{ utc_from('bookings.local_start', 'products.time_zone') }} end as starts_at,
        case when is_confirmed then coalesce(retail, 0) else 0 end as paid,
        case when is_confirmed and net is not null then coalesce(retail - net, 0) else 0 end as commission,
        is_cancelled and coalesce(refund_kind, '') = 'FULL' as is_refunded
    from bookings
    left join {{ ref('stg_peek__products') }} as products
        on products.account = bookings.account and products.connection = bookings.connection and products.product_id = bookings.product_id
)

select
    priced.account,
    priced.connection,
    priced.booking_uuid,
    priced.product_id,
    priced.product_name,
    priced.option_id,
    priced.availability_id,
    priced.status,
    coalesce(priced.created_at, priced.confirmed_at) as created_at,
    priced.confirmed_at,
    {{ day_of('priced.confirmed_at') }} as confirmed_date,
    priced.cancelled_at,
    priced.starts_at,
    priced.departure_date,
    priced.redeemed_at,
    {{ days_between('priced.confirmed_at', 'priced.starts_at') }} as lead_days,
    priced.seats,
    priced.is_confirmed,
    priced.is_cancelled,
    priced.redeemed_at is not null as is_redeemed,
    case when scanning.redeems then
        priced.is_confirmed and not priced.is_cancelled and priced.redeemed_at is null
        and coalesce(priced.starts_at < {{ as_of() }}, false)
    end as is_no_show,
    priced.currency,
    cast(priced.paid as decimal(38,4)) as gross,
    cast(case when priced.is_refunded then priced.paid else 0 end as decimal(38,4)) as refunds,
    cast(case when priced.is_refunded then 0 else priced.commission end as decimal(38,4)) as fees,
    cast(priced.commission as decimal(38,4)) as commission,
    priced.is_refunded
from priced
left join scanning on scanning.account = priced.account and scanning.connection = priced.connection
