select
    account,
    id as project_id,
    name as project_name,
    _deleted_at as deleted_at
from ({{ rows_of('peerassist', 'projects', ['id', 'name']) }}) as rows_read
