"""The state of a sync: one message for each stream, whose content is the stream's bookmark in a Singer state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_core.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_core.airbyte.catalog import Wanted

__all__ = ["NO_CURSOR", "bookmarks_of", "state_of"]

NO_CURSOR: Final[Mapping[str, Any]] = {"__ab_no_cursor_state_message": True}
"""What stands in place of a bookmark for a stream that keeps none."""

_FORMS: Final = "a list of STREAM states, a GLOBAL state, a legacy one, or the state of the tap"


def state_of(name: str, bookmark: Any, records: int) -> dict[str, Any]:
    """A STATE message.

    Args:
        name: The stream.
        bookmark: Its bookmark, as a JSON object.
        records: How many records it covers since the one before.
    """
    stream = {"stream_descriptor": {"name": name}, "stream_state": bookmark}
    return {
        "type": "STATE",
        "state": {"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": float(records)}},
    }


def bookmarks_of(given: Any, wanted: Sequence[Wanted]) -> dict[str, dict[str, Any]]:
    """The bookmarks that a sync continues from, by the names of the tap's streams; those of others are kept as well.

    Args:
        given: The content of the file: a list of STREAM states, a GLOBAL state, or a legacy one.
        wanted: What the sync reads; only streams that are to continue have one.

    Raises:
        StateError: It is none of these.
    """
    states = dict(_states(given))
    names = {name for each in wanted for name in (each.name, each.source)}
    found = {name: state for name, state in states.items() if state and name not in names}
    for source in {each.source for each in wanted if each.incremental}:
        ends = [states.get(each.name, {}) for each in wanted if each.source == source]
        if ends[0] and all(end == ends[0] for end in ends):  # else one of those made from it would miss something
            found[source] = ends[0]
    return found


def _states(given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for state in given if isinstance(given, list) else [given] if given else []:
        if not isinstance(state, dict):
            raise StateError(f"the file of --state must contain {_FORMS}")
        yield from _streams_of(state.get("state", state))


def _streams_of(state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    match state:
        case {"stream": dict() as stream}:
            yield _bookmark(stream)
        case {"global": {"stream_states": list() as streams}}:
            yield from map(_bookmark, streams)
        case (
            {"data": {"bookmarks": dict() as bookmarks}}
            | {"bookmarks": dict() as bookmarks}
            | {"data": dict() as bookmarks}
        ):
            yield from ((name, _checked(name, bookmark)) for name, bookmark in bookmarks.items())
        case _ if state:
            raise StateError(f"the file of --state must contain {_FORMS}")


def _bookmark(stream: Any) -> tuple[str, dict[str, Any]]:
    match stream:
        case {"stream_descriptor": {"name": str() as name}}:
            return name, _checked(name, stream.get("stream_state") or {})
    raise StateError("a state in the file of --state does not name its stream")


def _checked(name: str, bookmark: Any) -> dict[str, Any]:
    if not isinstance(bookmark, dict):
        raise StateError(f"the state of stream {name!r} must be a JSON object")
    return {} if bookmark == NO_CURSOR else bookmark
