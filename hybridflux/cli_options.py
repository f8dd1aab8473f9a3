"""What a user writes on the command line, turned into values."""

from __future__ import annotations

from hybridflux.vocabulary import VARIABLES, suggestion

_CHANGE_HELP = "write a change as `rain=*0.6`, `tair=+2`, `tair=-1.5` or `vpd=climatology`"


def parse_changes(texts: list[str]) -> dict[str, str]:
    """Driver -> change, checked: `*factor`, `+difference`, `-difference` or `climatology`.

    Raises:
        ValueError: unknown driver, unknown form, or the same driver twice.

    >>> parse_changes(["rain=*0.6", "tair=+2", "vpd=climatology"])
    {'rain': '*0.6', 'tair': '+2', 'vpd': 'climatology'}
    """
    changes: dict[str, str] = {}
    for text in texts:
        name, _, change = (part.strip() for part in text.partition("="))
        if name not in VARIABLES or VARIABLES[name].kind != "driver":
            drivers = [known for known, row in VARIABLES.items() if row.kind == "driver"]
            raise ValueError(f"--change `{text}`: `{name}` is not a driver.{suggestion(name, drivers)}")
        if name in changes:
            raise ValueError(f"--change: `{name}` is changed twice")
        if not _is_change(change):
            raise ValueError(f"--change `{text}`: {_CHANGE_HELP}")
        changes[name] = change
    return changes


def _is_change(change: str) -> bool:
    if change == "climatology":
        return True
    try:
        float(change[1:])
    except ValueError:
        return False
    return change[0] in "*+-"
