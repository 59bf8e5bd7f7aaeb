{{ config(schema='marts', materialized='view') }}
{# Every day of 40 years: what MetricFlow counts time by. #}
select moment as date_day
from {{ series("date '2010-01-01'", "date '2049-12-31'", 'day') }} as series
