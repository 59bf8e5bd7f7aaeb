"""A CronJob for each account, made from the example of its vendor in ``examples/kubernetes``."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from examples.fleet.accounts import DAY_MIN
from examples.fleet.timetable import GRACE_S, LATE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from examples.fleet.accounts import Account, Fleet
    from examples.fleet.timetable import Run

__all__ = ["LABEL", "manifests"]

LABEL: Final = {"app.kubernetes.io/part-of": "merchant-fleet"}
"""By which kubectl finds all of it."""

_EXAMPLES: Final = Path(__file__).parents[1] / "kubernetes"
_HISTORY: Final = {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 2}
"""Finished jobs that stay: with ten of each account, Kubernetes would keep ten thousand."""

_Dumper: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def manifests(fleet: Fleet, runs: Iterable[Run]) -> str:
    """All volumes and jobs of a night, as YAML."""
    documents = [document for run in runs for document in (_volume(fleet, run.account), _job(fleet, run))]
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=120)
    return text


def _volume(fleet: Fleet, account: Account) -> dict[str, Any]:
    volume = copy.deepcopy(_example(account.vendor)[0])
    volume["metadata"] = {"name": f"warehouse-{_name(account)}", "labels": _labels(account)}
    volume["spec"]["resources"]["requests"]["storage"] = fleet.cluster.storage
    return volume


def _job(fleet: Fleet, run: Run) -> dict[str, Any]:
    account = run.account
    job = copy.deepcopy(_example(account.vendor)[1])
    job["metadata"] = {"name": f"tap-{_name(account)}", "labels": _labels(account)}
    minute = (fleet.cluster.opens + run.begins) % DAY_MIN
    job["spec"] |= {"schedule": f"{minute % 60} {minute // 60} * * *", **_HISTORY}
    if run.pace is not None:
        job["spec"]["startingDeadlineSeconds"] = LATE_S
    spec = job["spec"]["jobTemplate"]["spec"]
    spec["activeDeadlineSeconds"] = run.deadline_s
    spec["template"]["metadata"]["labels"] |= _labels(account)
    pod = spec["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = GRACE_S
    (container,) = pod["containers"]
    container["image"] = fleet.cluster.image or container["image"]
    container["env"] = [{"name": name, "value": value} for name, value in _environment(fleet, run).items()]
    del container["envFrom"]  # all settings stand here
    if fleet.cluster.lake_secret:
        container["envFrom"] = [{"secretRef": {"name": fleet.cluster.lake_secret}}]
    for volume in pod["volumes"]:
        if "persistentVolumeClaim" in volume:
            volume["persistentVolumeClaim"]["claimName"] = f"warehouse-{_name(account)}"
        if "secret" in volume:
            volume["secret"]["secretName"] = account.secret
    return job


def _environment(fleet: Fleet, run: Run) -> dict[str, str]:
    account = run.account
    settings = dict(account.settings)
    if run.pace is not None:
        settings["requests_per_second"] = min(run.pace, settings.get("requests_per_second", run.pace))
    loader = {**fleet.loader, "schema": f"{account.vendor}__{account.name.replace('-', '_')}"}
    weekly = {"COMPACT_ON": str(run.begins % 7 + 1)} if fleet.loader.get("lake_path") else {}
    return {
        **{f"TAP_{account.vendor.upper()}_{name.upper()}": _text(value) for name, value in settings.items()},
        **{f"TARGET_DUCKHOUSE_{name.upper()}": _text(value) for name, value in loader.items()},
        **weekly,
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _name(account: Account) -> str:
    return f"{account.vendor}-{account.name}"


def _labels(account: Account) -> Mapping[str, str]:
    return LABEL | {"merchant-taps/vendor": account.vendor, "merchant-taps/account": account.name}


@cache
def _example(vendor: str) -> tuple[dict[str, Any], dict[str, Any]]:
    volume, job = yaml.safe_load_all((_EXAMPLES / f"{vendor}.yaml").read_text(encoding="utf-8"))
    return volume, job
