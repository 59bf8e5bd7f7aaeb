{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key=['account', 'sale_key'],
    post_hook="{{ remove_gone('premiumpay', 'sales', {'sale_key': '_surrogate_key'}) }}",
) }}

{# Amounts come in whole units already. #}
select
    sales.account,
    sales._surrogate_key as sale_key,
    coalesce(sales.date_time, sales._window_start) as sold_at,
    coalesce(sales.payment_method, 'unknown') as payment_method,
    {{ currency_code('sales.currency', 'aliases.currency') }} as currency,
    cast(round(sales.amount, 4) as decimal(38,4)) as amount,
    sales._deleted_at as deleted_at,
    sales._loaded_at
from ({{ rows_of('premiumpay', 'sales', ['_surrogate_key', '_window_start', 'date_time', 'amount', 'currency', 'payment_method']) }}) as sales
left join {{ ref('currency_aliases') }} as aliases on aliases.written = sales.currency
