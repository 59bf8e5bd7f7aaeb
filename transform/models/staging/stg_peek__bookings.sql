{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['account', 'connection', 'booking_uuid'],
    on_schema_change='sync_all_columns',
    post_hook="{{ remove_gone('peek', 'bookings', {'connection': '_connection', 'booking_uuid': 'uuid'}) }}",
) }}

{# Nothing of a product is kept here, because products may come or change later, while their bookings stay as they are. #}
with bookings as (
    {{ rows_of('peek', 'bookings', ['_connection', 'uuid', 'status', 'utcCreatedAt', 'utcConfirmedAt', 'utcRedeemedAt', 'productId', 'optionId',
        'cancellation', 'availabilityId', 'availability', 'contact', 'voucher', 'unitItems', 'pricing'], since='local_start') }}
),

read_out as (
    select
        bookings.*,
        coalesce({{ json_text('availability', 'id') }}, "availabilityId") as availability_id,
        {{ json_text('availability', 'localDateTimeStart') }} as local_start,
        {{ json_text('cancellation', 'refund') }} as refund_kind,
        {{ json_text('cancellation', 'utcCancelledAt') }} as cancelled_text,
        {{ json_text('voucher', 'utcRedeemedAt') }} as voucher_text,
        {{ currency_code(json_text('pricing', 'currency')) }} as currency,
        {{ to_number(json_text('pricing', 'retail'), 'decimal(38,0)') }} as retail_minor,
        {{ to_number(json_text('pricing', 'net'), 'decimal(38,0)') }} as net_minor,
        {{ to_number(json_text('pricing', 'currencyPrecision'), 'bigint') }} as told_digits,
        nullif(trim({{ json_text('contact', 'emailAddress') }}), '') as email,
        nullif(trim({{ json_text('contact', 'phoneNumber') }}), '') as phone
    from bookings
),

tickets as (
    select
        bookings.account,
        bookings._connection,
        bookings.uuid,
        count(*) as seats,
        min(least(
            {{ to_wall_time(json_text('tickets.item', 'utcRedeemedAt')) }},
            {{ to_wall_time(json_text('tickets.item', 'ticket', 'utcRedeemedAt')) }}
        )) as redeemed_at
    from bookings
    cross join lateral {{ json_items('bookings."unitItems"', 'tickets') }}
    group by bookings.account, bookings._connection, bookings.uuid
)

select
    read_out.account,
    read_out._connection as connection,
    read_out.uuid as booking_uuid,
    read_out."productId" as product_id,
    read_out."optionId" as option_id,
    read_out.availability_id,
    read_out.status,
    read_out."utcCreatedAt" as created_at,
    read_out."utcConfirmedAt" as confirmed_at,
    {{ to_wall_time('read_out.cancelled_text') }} as cancelled_at,
    {{ to_wall_time('read_out.local_start') }} as local_start,
    cast({{ to_wall_time('read_out.local_start') }} as date) as departure_date,
    least(read_out."utcRedeemedAt", {{ to_wall_time('read_out.voucher_text') }}, tickets.redeemed_at) as redeemed_at,
    coalesce(tickets.seats, 0) as seats,
    read_out.refund_kind,
    read_out.currency,
    {{ from_minor_units('read_out.retail_minor', 'coalesce(read_out.told_digits, currencies.minor_digits)') }} as retail,
    {{ from_minor_units('read_out.net_minor', 'coalesce(read_out.told_digits, currencies.minor_digits)') }} as net,
    read_out.email,
    read_out.phone,
    read_out._deleted_at as deleted_at,
    read_out._loaded_at
from read_out
left join tickets
    on tickets.account = read_out.account and tickets._connection = read_out._connection and tickets.uuid = read_out.uuid
left join {{ ref('currencies') }} as currencies on currencies.currency = read_out.currency
