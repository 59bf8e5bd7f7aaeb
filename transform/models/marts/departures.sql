with booked as (
    select
        account,
        connection,
        product_id,
        option_id,
        availability_id,
        count(*) as bookings,
        sum(seats) as seats,
        sum(case is_no_show when true then 1 when false then 0 end) as no_shows
    from {{ ref('int_bookings') }}
    where is_confirmed and not is_cancelled
    group by account, connection, product_id, option_id, availability_id
)

select
    departures.account,
    departures.connection,
    departures.product_id,
    departures.option_id,
    departures.availability_id,
    products.product_name,
    products.time_zone,
    departures.starts_at,
    departures.departure_date,
    departures.starts_at < {{ as_of() }} as has_departed,
    departures.status,
    departures.capacity,
    departures.vacancies,
    departures.capacity - departures.vacancies as seats_sold,
    cast({{ divided('(departures.capacity - departures.vacancies) * 10000', 'nullif(departures.capacity, 0)') }} * 0.0001 as decimal(9,4)) as occupancy,
    coalesce(booked.bookings, 0) as bookings,
    cast(coalesce(booked.seats, 0) as bigint) as booked_seats,
    cast(booked.no_shows as bigint) as no_shows
from {{ ref('stg_peek__availability') }} as departures
left join {{ ref('stg_peek__products') }} as products
    on products.account = departures.account and products.connection = departures.connection and products.product_id = departures.product_id
left join booked
    on booked.account = departures.account
    and booked.connection = departures.connection
    and booked.product_id = departures.product_id
    and booked.option_id = departures.option_id
    and booked.availability_id = departures.availability_id
where departures.deleted_at is null
