"""The environments of other programs, ``.venv-bench-NAME``, each with what ``benchmarks/peers/NAME.txt`` pins.

The first line of such a file says what is wanted, and ``python -m benchmarks.environments`` writes the rest anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import ROOT

PINS = Path(__file__).parent / "peers"


def python(name: str, folder_of_pins: Path = PINS) -> str:
    """The interpreter of an environment, which is made if need be."""
    folder, pins = ROOT / f".venv-bench-{name}", (folder_of_pins / f"{name}.txt").read_text(encoding="utf-8")
    ready = folder / ".ready"
    if not ready.exists() or ready.read_text(encoding="utf-8") != pins:
        print(f"installing {folder.name} …", file=sys.stderr, flush=True)
        uv("venv", "--quiet", "--clear", f"--python={sys.executable}", str(folder))
        uv("pip", "install", "--quiet", f"--python={folder}", f"--requirement={folder_of_pins / name}.txt")
        ready.write_text(pins, encoding="utf-8")
    return str(folder / "bin/python")


def uv(*arguments: str) -> None:
    """Run uv, without the constraints of this project.

    Raises:
        SystemExit: It failed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
    command = [str(Path(sys.executable).with_name("uv")), *arguments]
    if subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode:
        raise SystemExit(f"uv {arguments[0]} failed")


def pin(path: Path) -> None:
    """Compile a file anew from its first line."""
    wanted = path.read_text(encoding="utf-8").splitlines()[0]
    source = path.with_suffix(".in")
    source.write_text(wanted.removeprefix("# "), encoding="utf-8")
    options = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--python-version=3.11")
    uv("pip", "compile", "--quiet", "--upgrade", *options, f"--output-file={path}", str(source))
    source.unlink()
    path.write_text(f"{wanted}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


if __name__ == "__main__":
    for each in sorted(PINS.glob("*.txt")):
        pin(each)
