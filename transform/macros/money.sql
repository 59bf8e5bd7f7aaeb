{# An amount in minor units, such as cents, in the currency's own unit; `digits` are those behind its point. #}
{% macro from_minor_units(amount, digits) -%}
  case coalesce({{ digits }}, 2)
    when 0 then cast({{ amount }} as decimal(38,4))
    when 1 then cast({{ amount }} * 0.1 as decimal(38,4))
    when 2 then cast({{ amount }} * 0.01 as decimal(38,4))
    when 3 then cast({{ amount }} * 0.001 as decimal(38,4))
    when 4 then cast({{ amount }} * 0.0001 as decimal(38,4))
  end
{%- endmacro %}

{# A currency as ISO 4217 has it; `unknown` for none. `alias` is what the seed makes of the vendor's own writing. #}
{% macro currency_code(written, alias='null') -%}
  coalesce({{ alias }}, nullif(upper(trim({{ written }})), ''), 'unknown')
{%- endmacro %}

{% macro zero() -%} cast(0 as decimal(38,4)) {%- endmacro %}
