{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['account', 'invoice_id'],
    post_hook="{{ remove_gone('peakium', 'invoices', {'invoice_id': 'id'}) }}",
) }}

{# Refunds are in the charge; they have no date of their own. #}
with invoices as (
    {{ rows_of('peakium', 'invoices', ['id', 'customer_id', 'created', 'timestamp_paid', 'timestamp_retracted', 'paid', 'retracted', 'calculated_total', 'charge']) }}
),

amounts as (
    select
        invoices.*,
        {{ json_text('calculated_total', 'currency') }} as total_currency,
        {{ to_number(json_text('calculated_total', 'amount'), 'decimal(38,0)') }} as total_minor,
        {{ json_text('charge', 'currency') }} as charge_currency,
        {{ to_number(json_text('charge', 'amount'), 'decimal(38,0)') }} as charge_minor,
        coalesce({{ json_text('charge', 'paid') }}, 'false') = 'true' as is_charged,
        coalesce({{ json_text('charge', 'refunded') }}, 'false') = 'true' as is_refunded,
        {{ json_text('charge', 'timestamp_paid') }} as charged_text,
        {{ json_member('charge', 'refunds') }} as refund_list
    from invoices
),

refunds as (
    select amounts.account, amounts.id, sum({{ to_number(json_text('refunds.item', 'amount'), 'decimal(38,0)') }}) as refund_minor
    from amounts
    cross join lateral {{ json_items('amounts.refund_list', 'refunds') }}
    group by amounts.account, amounts.id
),

coded as (
    select
        amounts.*,
        {{ currency_code('coalesce(charge_currency, total_currency)') }} as currency,
        case when is_refunded then coalesce(refunds.refund_minor, charge_minor) else coalesce(refunds.refund_minor, 0) end as refund_minor
    from amounts
    left join refunds on refunds.account = amounts.account and refunds.id = amounts.id
)

select
    coded.account,
    coded.id as invoice_id,
    coded.customer_id,
    coded.created as created_at,
    coded.timestamp_paid as paid_at,
    coded.timestamp_retracted as retracted_at,
    coalesce(coded.retracted, false) as is_retracted,
    coalesce(coded.paid, false) as is_paid,
    coded.is_charged,
    coalesce({{ to_wall_time('coded.charged_text') }}, coded.timestamp_paid, coded.created) as charged_at,
    coded.currency,
    {{ from_minor_units('coded.total_minor', 'currencies.minor_digits') }} as total,
    {{ from_minor_units('coded.charge_minor', 'currencies.minor_digits') }} as charged,
    {{ from_minor_units('coded.refund_minor', 'currencies.minor_digits') }} as refunded,
    coded._deleted_at as deleted_at,
    coded._loaded_at
from coded
left join {{ ref('currencies') }} as currencies on currencies.currency = coded.currency
