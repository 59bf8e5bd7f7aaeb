{# Some columns of a stream's tables, in types that do not depend on the engine and the loader:

   - `account`, the schema that the row is in;
   - times without a zone, in UTC; decimals as decimal(38,10); JSON as json (jsonb in PostgreSQL);
   - `_loaded_at`, when the row last changed in the warehouse, and `_deleted_at`, when it was found to be gone.

   A table or column that is not there, because the vendor or the stream is not read, gives no rows or nulls. Names are
   found in the vendor's spelling or as other loaders fold them (localDateTimeStart, local_date_time_start).

   In an incremental model only the rows that have changed since it was built are read: account by account, because each
   is loaded in its own time. `since` is a column that the model did not always have: what was built without it is read
   again whole. #}
{% macro rows_of(vendor, stream, columns, since=none) -%}
  {%- set table = source(vendor, stream) -%}
  {%- if execute -%}
    {%- set declared = source_types(vendor, stream) -%}
    {%- set adds = is_incremental() and (since is none or since in columns_by_name(this)) -%}
    {%- for account, relation in tables_of(vendor, table) -%}
    {{ 'union all ' if not loop.first }}({{ rows_of_account(account, relation, declared, columns, adds) }})
    {%- endfor -%}
  {%- else -%}
    select 1
  {%- endif -%}
{%- endmacro %}

{% macro rows_of_account(account, relation, declared, columns, adds) -%}
  {%- set present = columns_by_name(relation) -%}
  select
    cast({{ literal(account) }} as text) as account,
  {%- for name in columns %}
    {{ typed(found(present, name), declared[name]) }} as {{ adapter.quote(name) }},
  {%- endfor %}
    {{ typed(present.get('_sdc_batched_at'), 'timestamp') }} as _loaded_at,
    {{ typed(present.get('_sdc_extracted_at'), 'timestamp') }} as _extracted_at,
    {{ typed(present.get('_sdc_deleted_at'), 'timestamp') }} as _deleted_at
  {%- if relation is none %}
  from (select 1 as nothing) as missing
  where false
  {%- else %}
  from {{ relation }}
    {%- if adds and '_sdc_batched_at' in present %}
  where {{ typed(present['_sdc_batched_at'], 'timestamp') }} > (
    select coalesce(max(_loaded_at), timestamp '1970-01-01') from {{ this }} where account = {{ literal(account) }}
  )
    or {{ adapter.quote(present['_sdc_batched_at'].name) }} is null
    {%- endif %}
  {%- endif %}
{%- endmacro %}

{# The accounts of a vendor: the schemas in its variable, each once. The loader's own tables are in one schema. #}
{% macro accounts_of(vendor, otherwise=none) -%}
  {%- set told = var(vendor ~ '_schemas', otherwise) -%}
  {%- if told is string or told is mapping or told is not iterable or not told or told | reject('string') | list -%}
    {{ exceptions.raise_compiler_error(
      "the variable " ~ vendor ~ "_schemas must list the schemas of " ~ vendor ~ "'s accounts, such as [" ~ vendor ~ ", tap_" ~ vendor ~ "__eu], not " ~ told
    ) }}
  {%- endif -%}
  {{ return(told | unique(case_sensitive=true) | list) }}
{%- endmacro %}

{# A stream's table of each account, or none where it is not there. #}
{% macro tables_of(vendor, table) -%}
  {%- set tables = [] -%}
  {%- for account in accounts_of(vendor, [table.schema]) -%}
    {%- do tables.append((account, adapter.get_relation(table.database, account, table.identifier))) -%}
  {%- endfor -%}
  {{ return(tables) }}
{%- endmacro %}

{# A text as SQL writes it. #}
{% macro literal(text) -%} '{{ text | replace("'", "''") }}' {%- endmacro %}

{# Types of a source's columns, from sources.yml. #}
{% macro source_types(vendor, stream) -%}
  {%- set types = {} -%}
  {%- for node in graph.sources.values() if node.source_name == vendor and node.name == stream -%}
    {%- for column in node.columns.values() -%}
      {%- do types.update({column.name: column.data_type}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(types) }}
{%- endmacro %}

{# The columns of a relation, by their names and by their names folded. #}
{% macro columns_by_name(relation) -%}
  {%- set present = {} -%}
  {%- if relation is not none -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
      {%- do present.setdefault(column.name.lower().replace('_', ''), column) -%}
      {%- do present.update({column.name: column}) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(present) }}
{%- endmacro %}

{% macro found(present, name) -%}
  {{ return(present.get(name) or present.get(name.lower().replace('_', ''))) }}
{%- endmacro %}

{# A column in the declared type; null where it is not there. #}
{% macro typed(column, type) -%}
  {%- set engine_type = 'jsonb' if type == 'json' and target.type == 'postgres' else type -%}
  {%- if column is none -%}
    cast(null as {{ engine_type }})
  {%- else -%}
    {%- set name = adapter.quote(column.name) -%}
    {%- set kind = column.dtype.lower() -%}
    {%- if type == 'timestamp' and ('time zone' in kind or kind == 'timestamptz') and 'without' not in kind -%}
      ({{ name }} at time zone 'UTC')
    {%- elif type == 'json' and target.type == 'postgres' -%}
      to_jsonb({{ name }})
    {%- else -%}
      cast({{ name }} as {{ engine_type }})
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}

{# A post-hook of incremental models: removes rows that are no longer in the stream's tables, as loaders that delete for good
   leave them, and those of accounts that are no longer listed.

   `keys` are the key columns of this model by those of the stream. #}
{% macro remove_gone(vendor, stream, keys) -%}
  {%- if execute and is_incremental() -%}
    delete from {{ this }} as here
    where not exists (
    {%- for account, relation in tables_of(vendor, source(vendor, stream)) if relation is not none %}
      {%- set present = columns_by_name(relation) %}
      {{ 'union all' if not loop.first }}
      select 1 from {{ relation }} as there
      where here.account = {{ literal(account) }}
      {%- for own, theirs in keys.items() %} and there.{{ adapter.quote(found(present, theirs).name) }} = here.{{ own }} {%- endfor %}
    {%- else %}
      select 1 where false
    {%- endfor %}
    )
  {%- endif -%}
{%- endmacro %}
