"""What a user writes on the command line, turned into values: years, site lists, changes of drivers, dates."""

from __future__ import annotations

from hybridflux.vocabulary import VARIABLES, suggestion

_CHANGE_HELP = "write a change as `rain=*0.6`, `tair=+2`, `tair=-1.5` or `vpd=climatology`"


def parse_years(text: str | None) -> tuple[int, int] | None:
    """First and last year.

    >>> parse_years("2001:2010"), parse_years("2018"), parse_years(None)
    ((2001, 2010), (2018, 2018), None)
    """
    if not text:
        return None
    first, _, last = text.partition(":")
    try:
        years = int(first), int(last or first)
    except ValueError:
        raise ValueError(f"--years `{text}`: write 2001:2010, or 2018 for one year") from None
    if years[0] > years[1]:
        raise ValueError(f"--years `{text}`: the first year is after the last")
    return years


def parse_sites(text: str | None) -> list[str] | None:
    """Site names of a comma-separated list.

    >>> parse_sites("FR-Pue, DE-Tha")
    ['FR-Pue', 'DE-Tha']
    """
    return [site.strip() for site in text.split(",") if site.strip()] if text else None


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
