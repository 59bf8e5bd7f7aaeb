{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['account', 'work_order_id'],
    post_hook="{{ remove_gone('peerassist', 'fwos', {'work_order_id': 'id'}) }}",
) }}

select
    account,
    id as work_order_id,
    number,
    type,
    status,
    "customerId" as customer_id,
    "projectId" as project_id,
    created as created_at,
    "lastUpdated" as last_updated_at,
    cast(round("laborHours", 4) as decimal(38,4)) as labor_hours,
    cast(round("romAmount", 4) as decimal(38,4)) as rough_amount,
    cast(round(amount, 4) as decimal(38,4)) as amount,
    _deleted_at as deleted_at,
    _loaded_at
from ({{ rows_of('peerassist', 'fwos', ['id', 'number', 'type', 'status', 'customerId', 'projectId', 'created', 'lastUpdated', 'laborHours', 'romAmount', 'amount']) }}) as rows_read
