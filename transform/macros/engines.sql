{# What DuckDB and PostgreSQL write differently. #}

{# A member of a JSON value as text; null where there is none. #}
{% macro json_text(value) -%}
  {{ return(adapter.dispatch('json_text')(value, varargs)) }}
{%- endmacro %}

{% macro duckdb__json_text(value, path) -%}
  json_extract_string({{ value }}, '${% for name in path %}.{{ name }}{% endfor %}')
{%- endmacro %}

{% macro postgres__json_text(value, path) -%}
  ({{ value }} #>> '{{ "{" ~ path | join(",") ~ "}" }}')
{%- endmacro %}

{# A member of a JSON value as JSON. #}
{% macro json_member(value) -%}
  {{ return(adapter.dispatch('json_member')(value, varargs)) }}
{%- endmacro %}

{% macro duckdb__json_member(value, path) -%}
  json_extract({{ value }}, '${% for name in path %}.{{ name }}{% endfor %}')
{%- endmacro %}

{% macro postgres__json_member(value, path) -%}
  ({{ value }} #> '{{ "{" ~ path | join(",") ~ "}" }}')
{%- endmacro %}

{# How many items a JSON array has; 0 for what is none. #}
{% macro json_length(value) -%}
  {{ return(adapter.dispatch('json_length')(value)) }}
{%- endmacro %}

{% macro duckdb__json_length(value) -%}
  cast(coalesce(case when json_type({{ value }}) = 'ARRAY' then json_array_length({{ value }}) end, 0) as bigint)
{%- endmacro %}

{% macro postgres__json_length(value) -%}
  cast(coalesce(case when jsonb_typeof({{ value }}) = 'array' then jsonb_array_length({{ value }}) end, 0) as bigint)
{%- endmacro %}

{# One row, with the column `item`, for each item of a JSON array; none for what is no array. For use after `cross join lateral`. #}
{% macro json_items(value, alias) -%}
  {{ return(adapter.dispatch('json_items')(value, alias)) }}
{%- endmacro %}

{% macro duckdb__json_items(value, alias) -%}
  (select unnest(case when json_type({{ value }}) = 'ARRAY' then cast({{ value }} as json[]) end) as item) as {{ alias }}
{%- endmacro %}

{% macro postgres__json_items(value, alias) -%}
  jsonb_array_elements(case when jsonb_typeof({{ value }}) = 'array' then {{ value }} end) as {{ alias }}(item)
{%- endmacro %}

{# A text as a number; null where it is none. #}
{% macro to_number(text, type='decimal(38,4)') -%}
  {{ return(adapter.dispatch('to_number')(text, type)) }}
{%- endmacro %}

{% macro duckdb__to_number(text, type) -%}
  try_cast({{ text }} as {{ type }})
{%- endmacro %}

{% macro postgres__to_number(text, type) -%}
  cast(case when {{ text }} ~ '^\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})?\s*$' then cast({{ text }} as numeric) end as {{ type }})
{%- endmacro %}

{# A text that begins with a time as YYYY-MM-DDTHH:MM:SS, as that time without its offset; null where it does not. #}
{% macro to_wall_time(text) -%}
  {{ return(adapter.dispatch('to_wall_time')(text)) }}
{%- endmacro %}

{% macro duckdb__to_wall_time(text) -%}
  try_cast(substring({{ text }}, 1, 19) as timestamp)
{%- endmacro %}

{% macro postgres__to_wall_time(text) -%}
  case when {{ text }} ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]'
    then cast(substring({{ text }}, 1, 19) as timestamp) end
{%- endmacro %}

{# Whether a text matches a regular expression. #}
{% macro matches(text, pattern) -%}
  {{ return(adapter.dispatch('matches')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
  regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}

{% macro postgres__matches(text, pattern) -%}
  ({{ text }} ~ '{{ pattern }}')
{%- endmacro %}

{# Names of the time zones that the engine knows. Any other would end the query. #}
{% macro time_zone_names() -%}
  {{ return(adapter.dispatch('time_zone_names')()) }}
{%- endmacro %}

{% macro duckdb__time_zone_names() -%}
  (select name from pg_timezone_names())
{%- endmacro %}

{% macro postgres__time_zone_names() -%}
  (select name from pg_timezone_names)
{%- endmacro %}

{# The quotient of two whole numbers, of which the second is positive, rounded half away from zero and exact for 38 digits. #}
{% macro divided(dividend, divisor) -%}
  {{ return(adapter.dispatch('divided')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__divided(dividend, divisor) -%}
  (sign({{ dividend }}) * ((abs(cast({{ dividend }} as hugeint)) * 2 + {{ divisor }}) // ({{ divisor }} * 2)))
{%- endmacro %}

{% macro postgres__divided(dividend, divisor) -%}
  round(cast({{ dividend }} as numeric) / {{ divisor }})
{%- endmacro %}

{# Whole seconds from one time to another, rounded down. #}
{% macro seconds_between(start, stop) -%}
  {{ return(adapter.dispatch('seconds_between')(start, stop)) }}
{%- endmacro %}

{% macro duckdb__seconds_between(start, stop) -%}
  cast(floor((epoch_us({{ stop }}) - epoch_us({{ start }})) / 1000000.0) as bigint)
{%- endmacro %}

{% macro postgres__seconds_between(start, stop) -%}
  cast(floor(extract(epoch from {{ stop }} - {{ start }})) as bigint)
{%- endmacro %}

{# All days, or first days of months, from one to another, as the column `moment`. #}
{% macro series(start, stop, step) -%}
  {{ return(adapter.dispatch('series')(start, stop, step)) }}
{%- endmacro %}

{% macro duckdb__series(start, stop, step) -%}
  (select cast(unnest(generate_series(cast({{ start }} as timestamp), cast({{ stop }} as timestamp), interval 1 {{ step }})) as date) as moment)
{%- endmacro %}

{% macro postgres__series(start, stop, step) -%}
  (select cast(generate_series(cast({{ start }} as timestamp), cast({{ stop }} as timestamp), interval '1 {{ step }}') as date) as moment)
{%- endmacro %}
