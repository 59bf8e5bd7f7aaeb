{# Which account belongs to which vendor, from the variables. #}
{% for vendor in ['peakium', 'premiumpay', 'peerassist', 'pegke', 'peek'] -%}
{% set after_first = not loop.first -%}
{% for account in accounts_of(vendor) -%}
{{ 'union all ' if after_first or not loop.first }}select cast('{{ vendor }}' as text) as vendor, cast({{ literal(account) }} as text) as account
{% endfor %}
{%- endfor %}
