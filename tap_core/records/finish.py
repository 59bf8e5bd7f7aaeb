"""What is shown of a record: not what is deselected or dropped, and hashed what the policy says.

With ``pii`` other than ``keep``, what no schema declares counts as personal: an undeclared field, and a member of an
object without declared members, may be anything in any language. ``pii_harmless`` and the mark ``x-pii: false`` say
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tap_core.records.policy import INDEX
from tap_core.records.schema import EXTRA

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from tap_core.records.policy import Policy
    from tap_core.records.schema import Node

__all__ = ["Finish", "places_above"]


class Finish:
    """Takes away or hashes what must not be shown of a stream's records.

    Args:
        root: What the API sends.
        policy: What happens to personal data and unknown fields.
        lost: Told how many undeclared values were dropped as personal.
    """

    def __init__(self, root: Node, policy: Policy, lost: Callable[[int], None]) -> None:
        self._root = root
        self._policy = policy
        self._lost = lost
        self._scrubs = policy.pii != "keep" or bool(policy.drop_fields)
        column = (root.properties or {}).get(EXTRA)
        self._extra_dropped = column is not None and column.drop
        places = list(root.places())
        self._declared = frozenset(path for path, _ in places)
        self._withheld = frozenset(path for path, place in places if place.withheld)
        self._hashed_places = frozenset(path for path, place in places if place.hash)
        self._around_personal = places_above(path for path, place in places if place.personal)

    def record(self, shaped: MutableMapping[str, Any]) -> dict[str, Any]:
        """A shaped record as it is emitted."""
        extra = shaped.pop(EXTRA, None)
        finished: dict[str, Any] = self.value(self._root, shaped)
        if extra and not self._extra_dropped and (kept := self._extra(extra)):
            finished[EXTRA] = kept
        return finished

    def value(self, node: Node, value: Any) -> Any:
        """A value in its place, as it is emitted."""
        if value is None or not (node.touched or self._scrubs):
            return value
        if node.hash:
            return self._policy.hash_value(value, node.contact)
        if isinstance(value, list):
            return [self.value(node.items, item) if node.items else self._inside(node, item) for item in value]
        return self._inside(node, value)

    def _inside(self, node: Node, value: Any) -> Any:
        """A value with or without declared members."""
        if not isinstance(value, Mapping):
            return self._members_of(value, harmless=node.harmless)
        finished: dict[str, Any] = {}
        for name, member in value.items():
            below = node.known.get(name)
            if below is None:
                finished |= self._undeclared(name, member, harmless=node.harmless)
            elif not below.drop:
                finished[name] = self.value(below, member)
        return finished

    def _extra(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The catch-all column: what has a declared place follows the policy for it, everything else is undeclared.

        What replaces an object with personal members is personal as a whole.
        """
        kept: dict[str, Any] = {}
        for path, value in extra.items():
            place = INDEX.sub("", path)
            above = {place, *places_above([place])}
            if above & self._withheld or not self._policy.drop_fields.isdisjoint(place.split(".")):
                continue
            if above & self._hashed_places:
                kept[path] = self._policy.hash_value(value)
            elif place in self._around_personal and self._policy.pii != "keep":
                kept |= {path: self._policy.hash_value(value)} if self._policy.pii == "hash" else {}
            elif place in self._declared:
                kept[path] = self._members_of(value)
            else:
                declared = self._declared_part(path)
                kept |= {
                    f"{declared}{name}": member
                    for name, member in self._undeclared(path.removeprefix(declared), value).items()
                }
        return kept

    def _declared_part(self, path: str) -> str:
        """The beginning of a path that is declared, with the dot behind it; the name that follows may have dots too."""
        parts = path.split(".")
        around = [part for part in accumulate(parts[:-1], "{}.{}".format) if INDEX.sub("", part) in self._declared]
        return f"{around[-1]}." if around else ""

    def _undeclared(self, name: str, value: Any, *, harmless: bool = False) -> dict[str, Any]:
        """A member that no schema declares, as the policy leaves it; nothing if it is dropped."""
        policy = self._policy
        if name in policy.drop_fields:
            return {}
        if policy.pii == "keep" or harmless or name in policy.harmless:
            return {name: self._members_of(value, harmless=harmless)}
        if policy.pii == "hash":
            return {policy.hash_leaf(name): self._hashed(value)}
        self._lost(1)
        return {}

    def _members_of(self, value: Any, *, harmless: bool = False) -> Any:
        """A value that may stay, with the members of all objects in it treated as undeclared."""
        if isinstance(value, Mapping):
            kept: dict[str, Any] = {}
            for name, member in value.items():
                kept |= self._undeclared(name, member, harmless=harmless)
            return kept
        return [self._members_of(item, harmless=harmless) for item in value] if isinstance(value, list) else value

    def _hashed(self, value: Any) -> Any:
        """A value with its leaves and the names of its members hashed; booleans say nothing about anyone."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, list):
            return [self._hashed(item) for item in value]
        return self._members_of(value) if isinstance(value, Mapping) else self._policy.hash_leaf(value)


def places_above(paths: Iterable[str]) -> frozenset[str]:
    """The places around the given ones: ``a`` and ``a.b`` for ``a.b.c``."""
    return frozenset(around for path in paths for around in accumulate(path.split(".")[:-1], "{}.{}".format))
