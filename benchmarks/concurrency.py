"""How much faster eight requests in flight are than one, at 100 ms of latency; one run, two ratios.

python -m benchmarks.concurrency
"""

from __future__ import annotations

import os
import sys
import time

from merchant_sandbox.client import Sandbox, World
from tap_core.output.messages import MessageWriter
from tap_core.testing import selected
from tap_peakium.tap import TapPeakium

LATENCY_S = 0.1
PAGE = 50


def seconds(world: World, concurrency: int) -> tuple[float, int]:
    """Seconds to read all events, and their number."""
    config = {**world.config("peakium"), "concurrency": concurrency, "page_size": PAGE}
    catalog = selected(TapPeakium(config=config).catalog_dict, ["events"])
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  a descriptor is wanted
        tap = TapPeakium(config=config, catalog=catalog, message_writer=MessageWriter(nowhere.fileno()))
        begun = time.perf_counter()
        tap.run()
        return time.perf_counter() - begun, tap.session.progress.meter("events").records


def main() -> int:
    """Measure and print; fails below a factor of six."""
    with Sandbox() as sandbox:
        world = sandbox.world(seed=4, ticks=80)
        world.truth("peakium", "events")
        seconds(world, 8)
        world.fault("peakium", "/events", "delay", times=None, seconds=LATENCY_S)
        one, records = seconds(world, 1)
        eight, _ = seconds(world, 8)
    print(f"{records:,} events in pages of {PAGE} at {LATENCY_S * 1000:.0f} ms")
    print(f"concurrency 1: {one:6.2f} s\nconcurrency 8: {eight:6.2f} s\nratio:         {one / eight:6.2f}")
    return 0 if one / eight >= 6 else 1


if __name__ == "__main__":
    sys.exit(main())
