{# Versions of field work orders that the loader has kept, if its setting `history` names `fwos`. #}
select
    account,
    id as work_order_id,
    status,
    "lastUpdated" as since
from ({{ rows_of('peerassist', 'fwos__history', ['id', 'status', 'lastUpdated', '_sdc_operation']) }}) as rows_read
where _sdc_operation <> 'delete'
