"""Which partitions (customers, connections, ids) a stream has read before, remembered in little space.

A stream that reads for a configured list of partitions keeps one bookmark for all of them. A partition added to the
list later must still be read from the start. State cannot hold tens of thousands of names, and should not: they may
be personal data.

So each partition belongs, by its hash, to one of `GROUPS` groups, and state holds one digest per group of all its
members. Where the digest of a group has changed, a member was added or removed, and all members of that group are
read from the start. That never misses a partition; it reads a few too many, which a target recognises as unchanged.
The state stays below 12 KB, however many partitions there are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["GROUPS", "KnownPartitions"]

GROUPS: Final = 512
_DIGEST_BYTES: Final = 8


class KnownPartitions:
    """Distinguishes partitions that were read before from new ones.

    Args:
        identities: All partitions of this run.
        remembered: What `digests` returned in an earlier run; None or anything else means that nothing is known.
        key: Secret that keys the hashes, so that the state does not reveal names.
    """

    def __init__(self, identities: Iterable[str], *, remembered: Any, key: str) -> None:
        self._key = key.encode()
        self._forgotten: set[int] = set()
        members: defaultdict[int, list[bytes]] = defaultdict(list)
        for identity in identities:
            digest = self._hash(identity)
            members[self._group(digest)].append(digest)
        self._digests = {group: self._digest(found) for group, found in members.items()}
        before: Mapping[Any, Any] = remembered if isinstance(remembered, Mapping) else {}
        self._known = {group for group, digest in self._digests.items() if before.get(str(group)) == digest}

    def __contains__(self, identity: str) -> bool:
        return self._group(self._hash(identity)) in self._known

    def forget(self, identity: str) -> None:
        """Treat a partition as new in the next run, because this one could not read it. Any thread may call it."""
        self._forgotten.add(self._group(self._hash(identity)))

    def digests(self) -> dict[str, str]:
        """What to remember, once all partitions were read."""
        return {str(group): self._digests[group] for group in sorted(self._digests) if group not in self._forgotten}

    def _hash(self, identity: str) -> bytes:
        return hmac.digest(self._key, identity.encode(), "sha256")

    @staticmethod
    def _group(digest: bytes) -> int:
        return int.from_bytes(digest[:4], "big") % GROUPS

    @staticmethod
    def _digest(members: list[bytes]) -> str:
        digest = hashlib.sha256(b"".join(sorted(members))).digest()[:_DIGEST_BYTES]
        return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
