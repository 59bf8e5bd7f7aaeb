with rates as (
    select
        from_currency,
        valid_from,
        rate,
        lead(valid_from) over (partition by from_currency order by valid_from) as valid_until
    from {{ ref('exchange_rates') }}
    where to_currency = '{{ var("reporting_currency") }}'
),

rated as (
    select
        revenue.*,
        coalesce(rates.rate, case when revenue.currency = '{{ var("reporting_currency") }}' then 1 end) as rate,
        rates.valid_from
    from {{ ref('revenue_by_day') }} as revenue
    left join rates
        on rates.from_currency = revenue.currency
        and rates.valid_from <= revenue.date_day
        and (rates.valid_until > revenue.date_day or rates.valid_until is null)
),

converted as (
    select
        *,
        round(gross * rate, 4) as gross_converted,
        round(refunds * rate, 4) as refunds_converted,
        round(fees * rate, 4) as fees_converted
    from rated
)

select
    date_day,
    vendor,
    account,
    currency,
    payment_method,
    cast('{{ var("reporting_currency") }}' as text) as reporting_currency,
    cast(rate as decimal(18,8)) as rate,
    valid_from as rate_date,
    payments,
    cast(gross_converted as decimal(38,4)) as gross,
    cast(refunds_converted as decimal(38,4)) as refunds,
    cast(fees_converted as decimal(38,4)) as fees,
    cast(gross_converted - refunds_converted - fees_converted as decimal(38,4)) as net
from converted
