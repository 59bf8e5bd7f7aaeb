"""The dbt models, behind the streams that they read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from merchant_dagster.assets import POOL

__all__ = ["models_in", "runner"]


def models_in(folder: Path) -> dg.AssetsDefinition:
    """The assets of a dbt project's models. `profiles.yml` says where the warehouse is: ``MERCHANT_WAREHOUSE``."""
    project = DbtProject(project_dir=folder, profiles_dir=folder)
    project.preparer.prepare(project)

    @dbt_assets(manifest=project.manifest_path, project=project, pool=POOL)
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from dbt.cli(["build"], context=context).stream()

    return models


def runner(folder: Path) -> DbtCliResource:
    """What the assets of a dbt project run by."""
    return DbtCliResource(project_dir=str(folder), profiles_dir=str(folder))
