{# The moment of this build, in UTC. #}
{% macro now_utc() -%}
  cast('{{ run_started_at.astimezone(modules.pytz.utc).strftime("%Y-%m-%d %H:%M:%S.%f") }}' as timestamp)
{%- endmacro %}

{# The moment at which everything is looked at, in UTC: MERCHANT_AS_OF, such as 2026-02-01T00:00:00, or now.

   It is not a variable, because dbt parses all models again when one changes. #}
{% macro as_of() -%}
  {%- set told = env_var('MERCHANT_AS_OF', '') if execute else '' -%}
  {%- if told -%} cast('{{ told }}' as timestamp) {%- else -%} {{ now_utc() }} {%- endif -%}
{%- endmacro %}

{# The day of a moment in UTC, in the time zone of the variable `time_zone`. #}
{% macro day_of(moment) -%}
  {%- if var('time_zone') == 'UTC' -%}
    cast({{ moment }} as date)
  {%- else -%}
    cast((({{ moment }}) at time zone 'UTC') at time zone '{{ var("time_zone") }}' as date)
  {%- endif -%}
{%- endmacro %}

{# The moment in UTC at which the clocks of a zone show a time. #}
{% macro utc_from(wall_time, zone) -%}
  ((({{ wall_time }}) at time zone {{ zone }}) at time zone 'UTC')
{%- endmacro %}

{# The first day of the month of a day or moment. #}
{% macro month_of(moment) -%}
  cast(date_trunc('month', {{ moment }}) as date)
{%- endmacro %}

{# The number of months from one first day of a month to another. #}
{% macro months_between(start, stop) -%}
  cast((extract(year from {{ stop }}) - extract(year from {{ start }})) * 12 + extract(month from {{ stop }}) - extract(month from {{ start }}) as bigint)
{%- endmacro %}

{# Whole days of 24 hours from one moment to another, rounded down. #}
{% macro days_between(start, stop) -%}
  cast(floor({{ seconds_between(start, stop) }} / 86400.0) as bigint)
{%- endmacro %}

{# Hours from one moment to another, with two decimals. #}
{% macro hours_between(start, stop) -%}
  cast(round(cast({{ seconds_between(start, stop) }} as decimal(18,0)) / 3600, 2) as decimal(18,2))
{%- endmacro %}
