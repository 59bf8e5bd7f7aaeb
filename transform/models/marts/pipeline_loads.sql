{# A schema that two vendors share, or that no variable names, stands for itself. #}
with owners as (
    select account, case when count(*) = 1 then min(vendor) end as vendor
    from {{ ref('stg_accounts') }}
    group by account
)

select
    loads.load_id,
    loads.state_id as pipeline,
    coalesce(owners.vendor, loads.schema_name) as vendor,
    loads.schema_name as account,
    loads.stream,
    loads.started_at,
    loads.committed_at,
    {{ day_of('loads.committed_at') }} as load_date,
    loads.inserted + loads.updated + loads.unchanged + loads.rejected as rows_read,
    loads.inserted,
    loads.updated,
    loads.unchanged,
    loads.deleted,
    loads.rejected,
    loads.seconds,
    loads.requests,
    loads.retries,
    loads.waited_seconds,
    loads.failed,
    {{ hours_between('max(case when not loads.failed then loads.committed_at end) over (partition by loads.schema_name, loads.stream order by loads.committed_at rows between unbounded preceding and 1 preceding)', 'loads.committed_at') }} as hours_since_previous
from {{ ref('stg_loader__loads') }} as loads
left join owners on owners.account = loads.schema_name
