{# Which customer each identifier belongs to: identifiers that stand in one record belong together, and so do all that these lead to. #}
with recursive edges as (
    select distinct one.kind || ':' || one.identifier as here, other.kind || ':' || other.identifier as there
    from {{ ref('int_identifiers') }} as one
    inner join {{ ref('int_identifiers') }} as other
        on other.vendor = one.vendor and other.account = one.account and other.record_id = one.record_id
),

shared as (
    select here from edges group by here having count(*) - 1 > {{ var('shared_identifier_limit') }}
),

links as (
    select here, there
    from edges
    where here not in (select here from shared) and there not in (select here from shared)
),

reached as (
    select here, there from links
    union
    select reached.here, links.there
    from reached
    inner join links on links.here = reached.there
),

owners as (
    select here as node, min(there) as customer from reached group by here
)

select
    identifiers.vendor,
    identifiers.account,
    identifiers.record_id,
    identifiers.kind,
    identifiers.identifier,
    identifiers.is_hash,
    identifiers.seen_at,
    md5(owners.customer) as customer_key
from {{ ref('int_identifiers') }} as identifiers
left join owners on owners.node = identifiers.kind || ':' || identifiers.identifier
