"""The tables of parameters and variables, made of the rows of `hybridflux.vocabulary`."""

from __future__ import annotations

import math
from statistics import NormalDist

from docs.site.words import brief_number, linked, plain, table
from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPE_NAMES, VARIABLES, Parameter

QUANTILES = 0.05, 0.95


def prior_quantile(row: Parameter, share: float) -> float:
    """The value below which a parameter lies with this probability a priori: logistic-normal between its bounds.

    >>> row = PARAMETERS["q10"]
    >>> round(prior_quantile(row, 0.5), 6) == row.typical
    True
    """
    logit = math.log((row.typical - row.lower) / (row.upper - row.typical))
    raw = logit + row.prior_sd * NormalDist().inv_cdf(share)
    return row.lower + (row.upper - row.lower) / (1.0 + math.exp(-raw))


def prior_range(row: Parameter) -> str:
    """The 90 % interval of the prior, in words."""
    return " to ".join(brief_number(prior_quantile(row, share)) for share in QUANTILES)


def pages(functions: dict[str, list]) -> dict[str, str]:
    """The two pages.

    Args:
        functions: room of `process` -> its functions, see `atlas.functions`.
    """
    users: dict[str, list[str]] = {}
    for room, found in functions.items():
        for fn in found:
            for name in arguments(fn):
                users.setdefault(name, []).append(f"[{room}.{fn.__name__}](atlas/{room}.md#{fn.__name__})")
    return {"reference/parameters.md": _parameters(users), "reference/variables.md": _variables(users)}


def _parameters(users: dict[str, list[str]]) -> str:
    parts = [
        "# Parameters and their priors",
        "A parameter is `lower + (upper - lower) sigmoid(raw)`, a priori `raw ~ Normal(logit of typical, prior sd)`: it never "
        "leaves its bounds. "
        "The 90 % interval is that of this prior, before any tower is seen. A parameter without a source stays at its typical "
        "value. Made of "
        "`hybridflux.vocabulary.PARAMETERS`, which is also `hf.PARAMETERS`.",
        table(
            ["parameter", "unit", "typical", "bounds", "90 % of the prior", "meaning"],
            [
                (f"[`{row.name}`](#{row.name})", row.units, brief_number(row.typical), f"{row.lower:g} to {row.upper:g}", prior_range(row),
                 plain(row.meaning))
                for row in PARAMETERS.values()
            ],
        ),
    ]  # fmt: skip
    for row in PARAMETERS.values():
        facts = [
            f"**{plain(row.meaning)}** [{row.units}]. Typical {row.typical:g}, bounds {row.lower:g} to {row.upper:g}, "
            f"prior sd of `raw` {row.prior_sd:g}, so 90 % of the prior lie within {prior_range(row)}.",
            f"Source: {linked(plain(row.source))}.",
        ]
        if row.by_class:
            facts.append("Prior median by plant type: " + ", ".join(f"{name} {value:g}" for name, value in row.by_class.items()) + ".")
        if row.name in users:
            facts.append(f"Used by {', '.join(users[row.name])}.")
        parts += [f"## `{row.name}` {{ #{row.name} }}", *facts]
    return "\n\n".join(parts) + "\n"


def _variables(users: dict[str, list[str]]) -> str:
    rows = [
        (f"`{row.name}`", row.kind, row.units, plain(row.long_name), f"{row.bounds[0]:g} to {row.bounds[1]:g}",
         f"`{row.fluxnet}`" if row.fluxnet else "", f"`{row.cf_name}`" if row.cf_name else "", ", ".join(users.get(row.name, [])))
        for row in VARIABLES.values()
    ]  # fmt: skip
    types = table(["code", "plant type"], PLANT_TYPE_NAMES.items())
    return "\n\n".join([
        "# Variables and plant types",
        "One row for each quantity that varies in space or time. A value outside its bounds is refused where data enter. A driver "
        "may also be named "
        "with a running mean, `tair_7d`, `tair_30d`, `tair_90d`, where a network reads it. NEE = RECO - GPP, positive to the atmosphere.",
        table(["variable", "kind", "unit", "meaning", "bounds", "FLUXNET", "CF standard name", "read by"], rows),
        "## Plant types",
        "IGBP classes. URB and WAT are not mapped.",
        types,
    ]) + "\n"  # fmt: skip
