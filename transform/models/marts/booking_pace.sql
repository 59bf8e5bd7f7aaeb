{% set columns = 'account, connection, product_id, option_id, availability_id' %}
with observations as (
    select {{ columns }}, departure_date, capacity, vacancies, observed_at
    from {{ ref('stg_peek__availability_history') }}
    where not is_gone
    union all
    select {{ columns }}, departure_date, capacity, vacancies, observed_at
    from {{ ref('stg_peek__availability_snapshots') }}
),

readings as (
    select
        *,
        capacity - vacancies as seats_sold,
        row_number() over (partition by {{ columns }}, observed_at order by vacancies) as place
    from observations
    where capacity is not null and vacancies is not null and observed_at is not null
),

compared as (
    select *, lag(seats_sold) over (partition by {{ columns }} order by observed_at) as seats_before
    from readings
    where place = 1
)

select
    compared.account,
    compared.connection,
    compared.product_id,
    compared.option_id,
    compared.availability_id,
    compared.observed_at,
    cast(compared.observed_at as date) as observed_date,
    products.product_name,
    compared.departure_date,
    cast(compared.departure_date - cast(compared.observed_at as date) as bigint) as days_before,
    compared.capacity,
    compared.vacancies,
    compared.seats_sold,
    compared.seats_sold - compared.seats_before as seats_taken
from compared
left join {{ ref('stg_peek__products') }} as products
    on products.account = compared.account and products.connection = compared.connection and products.product_id = compared.product_id
where compared.seats_before is null or compared.seats_sold <> compared.seats_before
