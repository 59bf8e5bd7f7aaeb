{# Follows from the loads, so that `--select source:loader+` builds it. #}
-- depends_on: {{ ref('stg_loader__loads') }}
select cast({{ literal(var('time_zone')) }} as text) as time_zone
