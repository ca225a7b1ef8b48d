"""Try what `make dist` built as a user meets it: in fresh environments, outside this checkout.

The wheel alone gives the library, without anything of the control plane. The sdist with `[server]`
and the AWS CLI gives a program whose demo holds. `uvx`, where it is, serves from the checkout.
Versions are those of the lock files; `--newest` takes what the package index has.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKED = ROOT / "requirements" / "dev.txt"
# Seconds; the demo takes half a minute on a quiet machine, an installation as long.
PATIENCE_SECONDS = 600.0
STARTED = "sametoken serves EC2 at http://127.0.0.1:"

_LIBRARY = """
import importlib.metadata, importlib.util
import sametoken, sqlalchemy as sa

assert "site-packages" in sametoken.__file__, sametoken.__file__
for name in ("alembic", "botocore", "click", "cryptography", "httptools", "starlette"):
    assert importlib.util.find_spec(name) is None, f"{name} is of the control plane"
database = sa.create_engine("sqlite://")
with database.begin() as connection:
    sametoken.create_tables(connection)
print("the library alone:", importlib.metadata.version("sametoken"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", type=Path, help="the folder with one wheel and one sdist")
    parser.add_argument("--newest", action="store_true", help="take no version from the lock")
    parser.add_argument("--uvx", help="the program to try uvx with; not tried without")
    told = parser.parse_args()
    [wheel], [sdist] = told.dist.resolve().glob("*.whl"), told.dist.resolve().glob("*.tar.gz")
    with tempfile.TemporaryDirectory(prefix="sametoken-dist-") as folder:
        there = Path(folder)
        pins = None if told.newest else _pins(there)
        alone = _environment(there / "alone", pins, str(wheel))
        _run([alone / "python", "-c", _LIBRARY], there)
        served = _environment(there / "served", pins, f"{sdist}[server]", "awscli", "boto3")
        _run([served / "sametoken", "demo"], there, PATH=f"{served}:{os.environ['PATH']}")
        if told.uvx is not None:
            _serve_by_uvx(told.uvx, there)


def _pins(folder: Path) -> Path:
    """Write the versions of the lock without its hashes: our own archive has none there."""
    lines = LOCKED.read_text().splitlines()
    names = [line.removesuffix("\\").strip() for line in lines if line[:1].isalpha()]
    pins = folder / "pins.txt"
    pins.write_text("\n".join(names) + "\n")
    return pins


def _environment(folder: Path, pins: Path | None, *wanted: str) -> Path:
    """Make a virtual environment with what is wanted, and return the folder of its programs."""
    _run([sys.executable, "-m", "venv", folder], folder.parent)
    there = [] if pins is None else ["--constraint", pins]
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", *there, *wanted], folder.parent)
    return folder / "bin"


def _serve_by_uvx(uvx: str, folder: Path) -> None:
    command = [uvx, "--quiet", "--from", f"{ROOT}[server]", "sametoken", "serve"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--end-with-input", "--database", f"sqlite:///{folder}/uvx.db"],
        cwd=folder, env=_variables(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None, "its output is a pipe"
        line = process.stdout.readline()
        assert line.startswith(STARTED), f"uvx served nothing: {line!r}"
        process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    print("by uvx:", line.strip())


def _run(command: list[str | Path], folder: Path, **more: str) -> None:
    subprocess.run(
        command, cwd=folder, env=_variables() | more, check=True, timeout=PATIENCE_SECONDS
    )


def _variables() -> dict[str, str]:
    """The environment without what points into the checkout or at a user's set-up."""
    left_out = ("PYTHON", "SAMETOKEN_", "AWS_", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


if __name__ == "__main__":
    main()
