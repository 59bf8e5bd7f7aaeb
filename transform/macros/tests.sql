{# Generic data tests; dbt's own package hub is not needed for these few. #}

{% test unique_key(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{% test holds(model, expression) %}
select * from {{ model }} where not ({{ expression }})
{% endtest %}

{% test at_least(model, column_name, value) %}
select {{ column_name }} from {{ model }} where {{ column_name }} < {{ value }}
{% endtest %}

{# Values of some columns are those of a key elsewhere; rows in which one is null point nowhere. #}
{% test points_at(model, columns, to, keys) %}
select {{ columns | join(', ') }}
from {{ model }} as here
where {% for column in columns %} here.{{ column }} is not null and {% endfor %} not exists (
  select 1 from {{ to }} as there
  where {% for column in columns %} there.{{ keys[loop.index0] }} = here.{{ column }} {{ 'and' if not loop.last }} {% endfor %}
)
{% endtest %}
