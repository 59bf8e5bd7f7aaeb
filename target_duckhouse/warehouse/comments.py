"""What people read about tables and columns in their tools: comments, made from the streams' schemas.

A comment that somebody has written in place of the loader's stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from target_duckhouse.names import fold
from target_duckhouse.warehouse.tables import METADATA, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_duckhouse.warehouse.metadata import Known, Metadata, Present
    from target_duckhouse.warehouse.tables import Column, Table

__all__ = ["comments_of", "describe_columns", "table_comment"]

_OWN = re.compile(r"(?:\A|\n)key: .*$")
_PERSONAL = "(personal data)"


def table_comment(metadata: Metadata, table: Table, description: str) -> str | None:
    """The comment that a table should get; None if it is to keep the one that it has.

    Args:
        metadata: Knows the one that it has.
        table: The table.
        description: What the schema says of the stream.
    """
    wanted = f"{description}\nkey: {table.key}".lstrip()
    present = metadata.comment(table)
    is_free = present is None or _OWN.search(present)
    return wanted if is_free and present != wanted else None


def describe_columns(
    metadata: Metadata, table: Table, present: Mapping[str, Present], known: Mapping[str, Known]
) -> None:
    """Give the columns of a table their comments, and remember what they say.

    Args:
        metadata: Where it is remembered.
        table: The table, with the columns that its schema asks for.
        present: The columns that it had before.
        known: What was remembered of its properties.
    """
    new = [column for column in table.arriving if not _is_known(column, known.get(column.property))]
    said = metadata.comments(table) if new and present else {}
    texts: dict[str, str] = {}
    for column in new:
        before, old = known.get(column.property), said.get(column.name)
        text = _text(column.description, pii=column.pii)
        if (old or "") != text and (old is None or (before and old == _text(before.description, pii=before.pii))):
            texts[column.name] = text
    metadata.keep_properties(table, new, known.keys())
    there = set(map(fold, present))
    texts |= {name: text for name, text in METADATA.items() if name in table.stamps - there}
    if statements := [*_column_comments(table.qualified, texts)]:
        metadata.con.execute("; ".join(statements))


def comments_of(view: str, table: Table, comment: str | None) -> Iterator[str]:
    """The statements that comment on a view and its columns, which lose their comments when it is replaced.

    Args:
        view: Its full name.
        table: The table that it shows.
        comment: The comment on the table.
    """
    if comment:
        yield f"COMMENT ON VIEW {view} IS {literal(comment)}"
    texts = {column.name: _text(column.description, pii=column.pii) for column in table.columns}
    texts |= {name: text for name, text in METADATA.items() if name in table.stamps}
    yield from _column_comments(view, {name: text for name, text in texts.items() if text})


def _column_comments(relation: str, texts: Mapping[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        yield f"COMMENT ON COLUMN {relation}.{quote(name)} IS {literal(text) if text else 'NULL'}"


def _is_known(column: Column, before: Known | None) -> bool:
    return before is not None and before[1:] == (column.key, column.pii, column.description)


def _text(description: str, *, pii: bool) -> str:
    return f"{description} {_PERSONAL if pii else ''}".strip()
