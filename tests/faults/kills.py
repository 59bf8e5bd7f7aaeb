"""Who is killed, how and when, as Hypothesis chooses it."""

from __future__ import annotations

import signal

from hypothesis import strategies as st

from tests.faults.pipe import Kill

__all__ = ["kills"]

_victims = st.sampled_from(["tap", "loader", "both"])
_signals = st.sampled_from([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])

kills = st.one_of(
    st.builds(Kill, _victims, _signals, st.just("bytes"), st.integers(1, 200_000)),
    st.builds(Kill, _victims, _signals, st.just("requests"), st.integers(1, 60)),
    st.builds(Kill, _victims, _signals, st.just("commits"), st.integers(1, 5)),
)
