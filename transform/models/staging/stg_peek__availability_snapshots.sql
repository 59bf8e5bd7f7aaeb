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
    _read_at as observed_at
from ({{ rows_of('peek', 'availability_snapshots', ['_connection', 'productId', 'optionId', 'id', '_utc_start', 'localDateTimeStart', 'status', 'capacity', 'vacancies', '_read_at']) }}) as rows_read
