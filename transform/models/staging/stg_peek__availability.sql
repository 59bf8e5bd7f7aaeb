select
    account,
    _connection as connection,
    "productId" as product_id,
    "optionId" as option_id,
    id as availability_id,
    _utc_start as starts_at,
    cast({{ to_wall_time('"localDateTimeStart"') }} as date) as departure_date,
    status,
    capacity,
    vacancies,
    _deleted_at as deleted_at
from ({{ rows_of('peek', 'availability', ['_connection', 'productId', 'optionId', 'id', '_utc_start', 'localDateTimeStart', 'status', 'capacity', 'vacancies']) }}) as rows_read
