{# An e-mail address in the form in which it is compared: without spaces around it, in small letters; null where it is none. #}
{% macro normal_email(written) -%}
  case when {{ matches('trim(' ~ written ~ ')', '^[^@ ]+@[^@ ]+[.][^@ ]+$') }} then lower(trim({{ written }})) end
{%- endmacro %}

{# A phone number in the form in which it is compared: digits, with a plus where the country is known; null where it is none.

   Fewer than seven digits, or seven times the same one, are a placeholder. #}
{% macro normal_phone(written, calling_code=none) -%}
  {%- set digits = "regexp_replace(" ~ written ~ ", '[^0-9]', '', 'g')" -%}
  case
    when length({{ digits }}) < 7 or length(replace({{ digits }}, substring({{ digits }}, 1, 1), '')) = 0 then null
    when {{ matches('trim(' ~ written ~ ')', '^[+]') }} then '+' || {{ digits }}
    {%- if calling_code %}
    when length({{ digits }}) = 10 then '+{{ calling_code }}' || {{ digits }}
    {%- endif %}
    when {{ matches(digits, '^00') }} then '+' || substring({{ digits }}, 3)
    else {{ digits }}
  end
{%- endmacro %}
