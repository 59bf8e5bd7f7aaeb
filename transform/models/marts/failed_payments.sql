with failures as (
    select account, object_id as invoice_id, min(happened_at) as failed_at, count(*) as failures
    from {{ ref('stg_peakium__events') }}
    where kind = 'invoice_payment_failed' and object_id is not null and deleted_at is null
    group by account, object_id
)

select
    failures.account,
    failures.invoice_id,
    invoices.customer_id,
    failures.failed_at,
    {{ day_of('failures.failed_at') }} as failed_date,
    failures.failures,
    coalesce(invoices.currency, 'unknown') as currency,
    invoices.total as amount,
    case
        when invoices.invoice_id is null then 'unknown'
        when invoices.is_paid then 'recovered'
        when invoices.is_retracted then 'retracted'
        else 'open'
    end as outcome,
    case when invoices.is_paid then invoices.paid_at end as recovered_at,
    case when invoices.is_paid then
        greatest(0, cast(floor({{ seconds_between('failures.failed_at', 'invoices.paid_at') }} / 3600.0) as bigint))
    end as hours_to_recover
from failures
left join {{ ref('stg_peakium__invoices') }} as invoices
    on invoices.account = failures.account and invoices.invoice_id = failures.invoice_id and invoices.deleted_at is null
