{# A time zone that the engine does not know is none. #}
select
    products.account,
    products._connection as connection,
    products.id as product_id,
    products."internalName" as product_name,
    zones.name as time_zone,
    products._deleted_at as deleted_at
from ({{ rows_of('peek', 'products', ['_connection', 'id', 'internalName', 'timeZone']) }}) as products
left join {{ time_zone_names() }} as zones on zones.name = products."timeZone"
