"""The `sametoken` command, and `python -m sametoken`."""

from __future__ import annotations


def main() -> None:
    """Run the command line, or say what to install where only the engine is."""
    try:
        from sametoken.cli import main as command

        command()
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("sametoken"):
            raise
        raise SystemExit(
            f"The command line needs {missing.name}, which comes with the control plane: "
            "pip install 'sametoken[server]'"
        ) from missing


if __name__ == "__main__":
    main()
