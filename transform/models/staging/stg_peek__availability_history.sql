{# Versions of departures that the loader has kept, if its setting `history` names `availability`. They are dated by when the tap read them. #}
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
    coalesce(_extracted_at, _sdc_valid_from) as observed_at,
    _sdc_operation = 'delete' as is_gone
from ({{ rows_of('peek', 'availability__history', ['_connection', 'productId', 'optionId', 'id', '_utc_start', 'localDateTimeStart', 'status', 'capacity', 'vacancies',
    '_sdc_valid_from', '_sdc_operation']) }}) as rows_read
