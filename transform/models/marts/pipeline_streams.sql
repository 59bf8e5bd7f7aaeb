{# A load in which the stream failed is none that makes it fresh. #}
with numbered as (
    select
        *,
        row_number() over (partition by account, stream order by failed, committed_at desc, load_id) as place
    from {{ ref('pipeline_loads') }}
),

totals as (
    select
        vendor,
        account,
        stream,
        count(*) as loads,
        min(case when not failed then committed_at end) as first_loaded_at,
        max(case when not failed then committed_at end) as last_loaded_at,
        max(hours_since_previous) as longest_gap_hours,
        sum(rejected) as rejected
    from numbered
    group by vendor, account, stream
)

select
    totals.vendor,
    totals.account,
    totals.stream,
    totals.loads,
    totals.first_loaded_at,
    totals.last_loaded_at,
    {{ hours_between('totals.last_loaded_at', now_utc()) }} as hours_since_last,
    coalesce({{ seconds_between('totals.last_loaded_at', now_utc()) }} > {{ var('late_after_hours') }} * 3600, true) as is_late,
    totals.longest_gap_hours,
    numbered.inserted as last_inserted,
    numbered.updated as last_updated,
    numbered.deleted as last_deleted,
    numbered.rejected as last_rejected,
    cast(totals.rejected as bigint) as rejected,
    numbered.seconds as last_seconds,
    numbered.requests as last_requests,
    numbered.retries as last_retries,
    numbered.waited_seconds as last_waited_seconds
from totals
inner join numbered on numbered.account = totals.account and numbered.stream = totals.stream and numbered.place = 1
