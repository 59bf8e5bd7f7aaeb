"""A file in Prometheus' text format, as node_exporter's textfile collector reads it.

A run is short and Prometheus looks rarely, so counters go on from where the file's last ones stood: ``increase()``
over a day then tells what all runs of that day did. Times of success stay until the next success.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from merchant_telemetry.metrics import BOUNDS_S, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from merchant_telemetry.metrics import Metric, Sample

__all__ = ["TextFile"]

_TIME: Final = "_timestamp_seconds"
_READABLE: Final = 0o644
"""Another program, under another user, reads the file; nothing in it is secret."""

_LINE: Final = re.compile(r"# (HELP|TYPE) ([a-z_]+) (.+)|([a-z_]+(?:\{.*\})?) (\S+)")
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass
class _Family:
    """The lines of one metric: values by name and labels."""

    help: str = ""
    kind: str = ""
    series: dict[str, float] = field(default_factory=dict)


class TextFile:
    """The metrics of a run in a file, beside those of other programs that ran before it.

    Args:
        path: Where it is. What earlier runs wrote there is read now.
        labels: Those that all metrics of the run have.
    """

    def __init__(self, path: Path, labels: Mapping[str, str]) -> None:
        self._path = path
        self._own = [_label(*each) for each in labels.items()]
        self._before: dict[str, _Family] = {}
        with suppress(OSError, ValueError):  # there is none yet, or it is not ours
            self._before = _families(path.read_text(encoding="utf-8"))

    def write(self, samples: Iterable[Sample]) -> None:
        """Put the file in the place of the earlier one, whole.

        Args:
            samples: What was measured in this run so far.

        Raises:
            OSError: It cannot be written.
        """
        text = "".join(f"{line}\n" for line in self._lines(samples))
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123  a descriptor
                file.write(text)
            os.chmod(name, _READABLE)  # noqa: PTH101
            os.replace(name, self._path)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108
            raise

    def _lines(self, samples: Iterable[Sample]) -> Iterator[str]:
        families = {name: self._kept(name, before) for name, before in self._before.items()}
        for metric, labels, value in samples:
            family = families.setdefault(metric.prometheus, _Family())
            family.help, family.kind = metric.help, metric.kind
            for name, number in _series(metric, labels, value):
                so_far = family.series.get(name, 0) if metric.kind != "gauge" else 0
                family.series[name] = number + so_far
        for name, family in families.items():
            if family.series:
                yield f"# HELP {name} {family.help}"
                yield f"# TYPE {name} {family.kind}"
                yield from (f"{key} {number:.15g}" for key, number in family.series.items())

    def _kept(self, name: str, before: _Family) -> _Family:
        """What stays of earlier runs: what they counted, when the last success was, and all that others told."""
        stays = before.kind != "gauge" or name.endswith(_TIME)
        kept = {key: value for key, value in before.series.items() if stays or any(own not in key for own in self._own)}
        return _Family(before.help, before.kind, kept)


def _families(text: str) -> dict[str, _Family]:
    found: dict[str, _Family] = {}
    last = _Family()
    for line in text.splitlines():
        if not (match := _LINE.fullmatch(line)):
            continue
        about, name, said, series, value = match.groups()
        if about == "HELP":
            last = found[name] = _Family(said)
        elif about == "TYPE":
            last.kind = said
        else:
            last.series[series] = float(value)
    return found


def _series(metric: Metric, labels: Mapping[str, str], value: float | Histogram) -> Iterator[tuple[str, float]]:
    name = metric.prometheus
    if not isinstance(value, Histogram):
        yield f"{name}{_braces(labels)}", value
        return
    so_far = 0
    for bound, count in zip((*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"), value.buckets, strict=True):
        so_far += count
        yield f"{name}_bucket{_braces({**labels, 'le': bound})}", so_far
    yield f"{name}_sum{_braces(labels)}", value.sum
    yield f"{name}_count{_braces(labels)}", value.count


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(_label(*each) for each in labels.items()) + "}"


def _label(name: str, value: str) -> str:
    return f'{name}="{value.translate(_ESCAPED)}"'
