{# What is known of an order's steps: the versions that the loader has kept, and the order as it stands. #}
with steps as (
    select account, work_order_id, status, since from {{ ref('stg_peerassist__fwos_history') }}
    union all
    select account, work_order_id, status, last_updated_at from {{ ref('stg_peerassist__fwos') }}
),

requests as (
    select steps.account, steps.work_order_id, min(steps.since) as requested_at
    from steps
    inner join {{ ref('work_order_statuses') }} as statuses on statuses.status = steps.status and statuses.asks_for_approval
    group by steps.account, steps.work_order_id
),

approvals as (
    select steps.account, steps.work_order_id, min(requests.requested_at) as requested_at, min(steps.since) as approved_at
    from steps
    inner join {{ ref('work_order_statuses') }} as statuses on statuses.status = steps.status and statuses.is_approved
    inner join requests
        on requests.account = steps.account and requests.work_order_id = steps.work_order_id and requests.requested_at <= steps.since
    group by steps.account, steps.work_order_id
),

orders as (
    select
        orders.*,
        orders.deleted_at is not null as is_deleted,
        orders.deleted_at is null and coalesce(statuses.is_open, true) as is_open,
        case when orders.deleted_at is null and coalesce(statuses.is_open, true)
            then {{ days_between('orders.created_at', as_of()) }} end as age_days
    from {{ ref('stg_peerassist__fwos') }} as orders
    left join {{ ref('work_order_statuses') }} as statuses on statuses.status = orders.status
)

select
    orders.account,
    orders.work_order_id,
    orders.number,
    orders.type,
    orders.status,
    orders.customer_id,
    customers.customer_name,
    orders.project_id,
    projects.project_name,
    orders.created_at,
    {{ day_of('orders.created_at') }} as created_date,
    orders.last_updated_at,
    orders.is_deleted,
    orders.is_open,
    orders.age_days,
    case
        when orders.age_days <= 7 then '0-7'
        when orders.age_days <= 30 then '8-30'
        when orders.age_days <= 60 then '31-60'
        when orders.age_days <= 90 then '61-90'
        when orders.age_days > 90 then '90+'
    end as age_bucket,
    coalesce(orders.age_days > {{ var('overdue_days') }}, false) as is_overdue,
    requests.requested_at as approval_requested_at,
    approvals.approved_at,
    cast(floor({{ seconds_between('approvals.requested_at', 'approvals.approved_at') }} / 3600.0) as bigint) as hours_to_approval,
    orders.labor_hours,
    orders.rough_amount,
    orders.amount
from orders
left join requests on requests.account = orders.account and requests.work_order_id = orders.work_order_id
left join approvals on approvals.account = orders.account and approvals.work_order_id = orders.work_order_id
left join {{ ref('stg_peerassist__customers') }} as customers
    on customers.account = orders.account and customers.customer_id = orders.customer_id and customers.deleted_at is null
left join {{ ref('stg_peerassist__projects') }} as projects
    on projects.account = orders.account and projects.project_id = orders.project_id and projects.deleted_at is null
