"""Ready scenarios: files of rules that come with the package, each a situation by its name."""

from __future__ import annotations

from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.faults.reading import Names, read_toml
from sametoken.faults.rules import Rule
from sametoken.nearest import did_you_mean

_FOLDER = Path(__file__).with_name("scenarios")


def scenarios() -> dict[str, str]:
    """Return what each scenario is, by its name: the first sentence of its file."""
    found = {file.stem: file.read_text().partition("\n")[0] for file in _FOLDER.glob("*.toml")}
    return {name: found[name].removeprefix("# ") for name in sorted(found)}


def text_of(name: str) -> str:
    """Return the file of a scenario. Raises `Misconfigured` if there is none of that name."""
    known = scenarios()
    if name not in known:
        raise Misconfigured(
            f"there is no scenario {name!r}, and no such file.{did_you_mean(name, known)} "
            f"There are: {', '.join(known)}"
        )
    return _FOLDER.joinpath(f"{name}.toml").read_text()


def rules_of(asked: str, names: Names) -> tuple[Rule, ...]:
    """Return the rules of a TOML file, or of the scenario of that name. Raises `Misconfigured`."""
    file = Path(asked)
    if file.is_file():
        try:
            return read_toml(file.read_text(), names, where=asked)
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{asked} cannot be read: {error}") from error
    return read_toml(text_of(asked), names, where=asked)
