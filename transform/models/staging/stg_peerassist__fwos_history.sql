{# Versions of field work orders that the loader has kept, if its setting `history` names `fwos`. #}
select
    id as work_order_id,
    status,
    coalesce("lastUpdated", _extracted_at, _sdc_valid_from) as since
from ({{ rows_of('peerassist', 'fwos__history', ['id', 'status', 'lastUpdated', '_sdc_valid_from', '_sdc_operation']) }}) as rows_read
where _sdc_operation <> 'delete'
