"""The atlas of processes: equation, arguments with their rows of the vocabulary, bounds, source, and a picture of the response."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from inspect import getdoc, getmodule, isfunction
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
from matplotlib.figure import Figure

from docs.site.parameters import prior_range
from docs.site.words import brief_number, linked, plain, table
from hybridflux.model import compositions
from hybridflux.process import deep_water, direct, light, observation, respiration, stress, vegetation, water
from hybridflux.process.call import Memory, arguments
from hybridflux.report.style import plain_units
from hybridflux.vocabulary import PARAMETERS, VARIABLES

ROOMS = (light, vegetation, stress, respiration, water, deep_water, observation, direct)
TITLES = {
    "light": "Light", "vegetation": "Vegetation", "stress": "Limits of light use", "respiration": "Respiration", "water": "Water balance",
    "deep_water": "Water balance with depth", "observation": "What instruments show", "direct": "Fluxes of a network",
}  # fmt: skip
DRAWS = 400
POINTS = 121
PANELS = 3
SHOWN = {"soil_water": (0, 150), "deep_water": (0, 300), "snow": (0, 40), "gpp": (0, 15), "reco": (0, 10), "nee": (-10, 5),
         "evapotranspiration": (0, 6), "rain": (0, 30), "vpd": (0, 40), "co2": (340, 600)}  # fmt: skip
"""Range of a picture where centre and scale of the vocabulary do not give a good one."""
HELD = {"soil_water": 90.0, "deep_water": 150.0, "snow": 0.0, "gpp": 6.0, "reco": 4.0, "nee": -2.0, "evapotranspiration": 2.0, "rew": 0.7,
        "fapar": 0.7, "par": 8.0, "tair": 18.0, "par_potential": 14.0}  # fmt: skip
"""Value of a variable that a panel does not show, of a summer's day, where its centre is another."""
QUANTITY = "evapotranspiration"
"""What is drawn of a function that gives several quantities."""


def room_of(module: ModuleType) -> str:
    """Name of a module of processes."""
    return module.__name__.rpartition(".")[2]


def functions() -> dict[str, list[Callable]]:
    """Room -> its public process functions, in the order of the file."""
    return {
        room_of(module): [
            fn for name, fn in vars(module).items() if isfunction(fn) and getmodule(fn) is module and not name.startswith("_")
        ]
        for module in ROOMS
    }


def memories(module: ModuleType) -> dict[str, Memory]:
    """Things with memory that a module offers."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Memory)}


def users() -> dict[Callable, list[str]]:
    """Process function -> the named compositions that have it."""
    found: dict[Callable, list[str]] = {}
    for name in ("static", "hybrid", "hybrid_nirv", "hybrid_water", "network"):
        model = compositions.get(name)
        operators = (one.predict for one in model.observed.values())
        for fn in dict.fromkeys((*model.functions(), *operators)):
            found.setdefault(fn, []).append(name)
    return found


def pages() -> dict[str, str]:
    """The index, and a page a room."""
    made: dict[str, str] = {}
    of_model, rows = users(), []
    for module in ROOMS:
        room = room_of(module)
        parts = [f"# {TITLES[room]}", plain((module.__doc__ or "").strip()), f"Module `hybridflux.process.{room}`."]
        for fn in functions()[room]:
            parts += section(fn, room, of_model.get(fn, []))
            rows.append((f"[`{room}.{fn.__name__}`](atlas/{room}.md#{fn.__name__})", plain(summary(fn)), ", ".join(of_model.get(fn, []))))
        for name, memory in memories(module).items():
            parts += _memory(name, memory, module)
        made[f"reference/atlas/{room}.md"] = "\n\n".join(parts) + "\n"
    made["reference/atlas.md"] = "\n\n".join([
        "# Process atlas",
        "Every process function of hybridflux, from its own docstring and from the vocabulary. A picture shows the response to the "
        "inputs that move it "
        "most: the line with every parameter at its typical value, the band 90 % of what the priors allow before any tower is "
        "seen. Other inputs are "
        "held at values of a summer's day. GPP and RECO of a model are [products of such factors](../concepts/model.md); "
        "[adding one](../howto/add.md#a-process) is one function.",
        table(["function", "what it gives", "used by the compositions"], rows),
    ]) + "\n"  # fmt: skip
    return made


def summary(fn: Callable) -> str:
    """The first sentence of a docstring."""
    return (getdoc(fn) or "").split("\n\n")[0].replace("\n", " ")


def explanation(fn: Callable) -> str:
    """What follows the first sentence, up to the lists and examples: the equation and its source."""
    paragraphs = (getdoc(fn) or "").split("\n\n")[1:]
    kept = [part for part in paragraphs if not re.match(r"(>>>|Args:|Returns:|Raises:)", part)]
    return "\n\n".join(part.replace("\n", " ") for part in kept)


def section(fn: Callable, room: str, models: list[str]) -> list[str]:
    """The section of one function."""
    parts = [f"## `{fn.__name__}` {{ #{fn.__name__} }}", f"**{plain(summary(fn))}**"]
    if explanation(fn):
        parts.append(f'<div class="equation" markdown>\n{linked(plain(explanation(fn)))}\n</div>')
    rows = [row for row in (_argument(name) for name in arguments(fn)) if row]
    parts.append(table(["argument", "kind", "unit", "typical", "bounds", "90 % of the prior", "meaning"], rows))
    if is_drawn(fn):
        parts.append(f"![Response of {fn.__name__}]({room}.{fn.__name__}.svg){{ .response }}")
    if models:
        parts.append(f"In the compositions {', '.join(f'`{name}`' for name in models)}.")
    examples = re.findall(r"^>>> .*(?:\n(?!\n).*)*", getdoc(fn) or "", re.M)
    if examples:
        lines = "\n".join(f"    {line}" for line in examples[0].splitlines())
        parts.append(f'??? example "Example, tested"\n\n    ```pycon\n{lines}\n    ```')
    return parts


def _argument(name: str) -> tuple | None:
    """The row of an argument."""
    if name in PARAMETERS:
        row = PARAMETERS[name]
        bounds = f"{row.lower:g} to {row.upper:g}"
        link = f"[`{name}`](../parameters.md#{name})"
        return link, "parameter", row.units, brief_number(row.typical), bounds, prior_range(row), plain(row.meaning)
    if name in VARIABLES:
        known = VARIABLES[name]
        bounds = f"{known.bounds[0]:g} to {known.bounds[1]:g}"
        return f"[`{name}`](../variables.md)", known.kind, known.units, "", bounds, "", plain(known.long_name)
    meaning = f"{name.removesuffix('_at').upper()} of the day at other inputs: a function of these"
    return f"`{name}`", "computed", "gC m-2 d-1", "", "", "", meaning


def _memory(name: str, memory: Memory, module: ModuleType) -> list[str]:
    """The section of something with memory."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    text = re.search(rf'^{name} = .*\n"""(.*?)"""', source, re.M | re.S)
    steps = [f"`{fn.__name__.lstrip('_')}`({', '.join(arguments(fn))})" for fn in memory.functions if arguments(fn)]
    spin = "walks through the first year once before the first day" if memory.spin_up else "begins at its first state"
    return [f"## `{name}` {{ #{name} }}", linked(plain(text[1].replace("\n", " "))) if text else "",
            f"A `Memory`: {'; '.join(steps)}. It {spin}."]  # fmt: skip


def pictures() -> dict[str, bytes]:
    """The responses of all functions that are drawn."""
    every = ((room, fn) for room, found in functions().items() for fn in found)
    return {f"reference/atlas/{room}.{fn.__name__}.svg": draw(fn) for room, fn in every if is_drawn(fn)}


def is_drawn(fn: Callable) -> bool:
    """Whether a function has a picture: it reads a variable, and nothing that a model computes for it."""
    names = set(arguments(fn))
    return bool(names & set(VARIABLES)) and names <= {*PARAMETERS, *VARIABLES}


def draw(fn: Callable) -> bytes:
    """The response of a function to the inputs that move it most, as SVG."""
    names = arguments(fn)
    inputs = [name for name in names if name in VARIABLES]
    held = {name: HELD.get(name, VARIABLES[name].centre) for name in inputs}
    typical = {name: PARAMETERS[name].typical for name in names if name in PARAMETERS}
    moved = {name: _curve(fn, name, held, typical) for name in inputs}
    ranked = sorted(inputs, key=lambda name: -np.ptp(moved[name][1]))[:PANELS]
    shown = [name for name in ranked if np.ptp(moved[name][1]) > 0] or ranked[:1]
    drawn = Figure(figsize=(3.1 * len(shown) + 0.4, 2.5), layout="constrained", facecolor="white")
    panels = drawn.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, shown, strict=True):
        low, high = _band(fn, name, held, list(typical))
        if typical:
            panel.fill_between(moved[name][0], low, high, color="#2a7f8e", alpha=0.18, linewidth=0)
        panel.plot(*moved[name], color="#14535e", linewidth=1.8)
        panel.set_xlabel(f"{name} [{plain_units(VARIABLES[name].units)}]", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0)
    panels[0].set_ylabel(_quantity(fn, held | typical), fontsize=9)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _quantity(fn: Callable, names: dict) -> str:
    """Name and unit of what is drawn."""
    unit = re.search(r"\[([^\]]*)\]", summary(fn))
    several = isinstance(fn(**names), dict)
    return f"{QUANTITY} [mm d⁻¹]" if several else f"{fn.__name__} [{plain_units(unit[1].split(',')[0]) if unit else '1'}]"


def _value(fn: Callable, names: dict):
    """The result, of a function of several quantities that which is drawn."""
    found = fn(**names)
    if isinstance(found, tuple):
        return found[0]
    return found[QUANTITY] if isinstance(found, dict) else found


def _axis(name: str) -> np.ndarray:
    row = VARIABLES[name]
    low, high = SHOWN.get(name) or (max(row.bounds[0], row.centre - 3 * row.scale), min(row.bounds[1], row.centre + 3 * row.scale))
    return np.linspace(low, high, POINTS, dtype=np.float32)


def _curve(fn: Callable, name: str, held: dict, parameters: dict) -> tuple[np.ndarray, np.ndarray]:
    x = _axis(name)
    y = _value(fn, {**held, **parameters, name: x})
    return x, np.broadcast_to(np.asarray(y, dtype=float), x.shape)


def _band(fn: Callable, name: str, held: dict, parameters: list[str]) -> np.ndarray:
    """The 5 % and 95 % quantiles of the response over draws of the priors of its parameters, independent of each other."""
    random = np.random.default_rng(0)
    drawn = {}
    for one in parameters:
        row = PARAMETERS[one]
        logit = np.log((row.typical - row.lower) / (row.upper - row.typical))
        raw = logit + row.prior_sd * random.standard_normal((DRAWS, 1))
        drawn[one] = np.float32(row.lower + (row.upper - row.lower) * np.asarray(jax.nn.sigmoid(raw)))
    x = _axis(name)
    y = np.broadcast_to(np.asarray(_value(fn, {**held, **drawn, name: x[None]}), dtype=float), (DRAWS if parameters else 1, POINTS))
    return np.quantile(y, (0.05, 0.95), axis=0)
