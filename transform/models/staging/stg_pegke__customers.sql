select
    account,
    _phone as phone_key,
    cid as customer_id,
    email,
    created as created_at,
    points,
    _deleted_at as deleted_at
from ({{ rows_of('pegke', 'customers', ['_phone', 'cid', 'email', 'created', 'points']) }}) as rows_read
