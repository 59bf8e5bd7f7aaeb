select
    account,
    id as customer_id,
    name as customer_name,
    "contactEmail" as email,
    "contactPhone" as phone,
    "billingContactEmail" as billing_email,
    "billingContactPhone" as billing_phone,
    _deleted_at as deleted_at
from ({{ rows_of('peerassist', 'customers', ['id', 'name', 'contactEmail', 'contactPhone', 'billingContactEmail', 'billingContactPhone']) }}) as rows_read
