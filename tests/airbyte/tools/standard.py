"""The standard tests of Airbyte's CDK for a source that is an executable, run by the CDK's own environment.

``CONNECTOR`` names the executable, ``CONNECTOR_ROOT`` a folder with its metadata.yaml and acceptance-test-config.yml.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from airbyte_cdk.models.connector_metadata import MetadataFile
from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.standard_tests.source_base import SourceTestSuiteBase

ROOT = Path(os.environ["CONNECTOR_ROOT"])


def run(*, args: list[str], **_: Any) -> entrypoint_wrapper.EntrypointOutput:
    """Run the executable, where the CDK would run a source written with it."""
    done = subprocess.run([os.environ["CONNECTOR"], *args], capture_output=True, text=True, check=False)
    return entrypoint_wrapper.EntrypointOutput(messages=done.stdout.splitlines())


entrypoint_wrapper._run_command = run


class Executable:
    """What the tests take for a source."""

    def spec(self, logger: object) -> None:
        """Its presence is what they look at."""


class TestSource(SourceTestSuiteBase):  # type: ignore[misc]  # the CDK is in an environment of its own
    """All tests that need no container."""

    connector = Executable

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        return ROOT


def test_the_metadata_is_valid() -> None:
    metadata = MetadataFile.from_file(ROOT / "metadata.yaml").data
    assert metadata.language.value == "python"
    assert metadata.suggestedStreams
