"""What a fit found, as a table and as text: sites, parameters from prior to posterior, convergence, concerns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pandas as pd
from scipy.special import expit

from hybridflux.inference.fit_months_together import TRAITS
from hybridflux.inference.plant_type_error import prior_share
from hybridflux.model.learned import all_sources, learned, populations
from hybridflux.model.sources import to_raw, to_value
from hybridflux.model.structural_error import LEVEL, NAMES, prior_level, prior_of
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, Parameter

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

PRIOR_DRAWS = 2000
FEWEST_FOR_SPREAD = 5  # draws from which on a variance means something
MOST_SITES = 40  # lines of the text
AMPLITUDE = "structural_amplitude.of_type"
COLUMNS = (
    "parameter", "plant_type", "units", "prior_q05", "prior_median", "prior_q95", "q05", "median", "q95", "contraction", "r_hat", "ess",
)  # fmt: skip


def parameter_table(posterior: Posterior) -> pd.DataFrame:
    """Every parameter that is learned and does not change by day, one row each, from prior to posterior.

    Columns: `parameter`; `plant_type`, of the sites of the fit, where the parameter differs by it; `units`; 5, 50 and 95 % of the prior
    and of the posterior; `contraction`, 1 - variance of the posterior over that of the prior, both unconstrained (1: the data decide, 0:
    they say nothing; missing below five draws); `r_hat` (split) and `ess`, effective draws, where there are chains. Then follow the
    standard deviations of populations of sites, the hyperparameters of the structural error, and of each plant type the root mean square
    of its amplitude and its shares (`structural_error.OF_TYPES`).
    """
    rows = []
    present = {place.get("plant_type") for place in posterior.info.get("places", {}).values()} - {None}
    drawn, prior = posterior.parameter_draws(), posterior.prior_draws(PRIOR_DRAWS)
    for name, values in drawn.items():
        row = posterior.model.row_of(name)
        if values.ndim == 1:
            rows.append(_row(name, "", row, values, prior[name], posterior))
        else:
            for at, code in enumerate(PLANT_TYPES):
                if code in present or not present:
                    rows.append(_row(name, code, row, values[:, at], prior[name][:, at], posterior))
    rows += list(_populations(posterior))
    if posterior.structure is not None:
        centre, sd = prior_of(len(posterior.places))
        normal = np.asarray(jax.random.normal(jax.random.key(0), (PRIOR_DRAWS, len(NAMES))))
        for at, name in enumerate(NAMES):
            row, values = PARAMETERS[name], np.atleast_1d(np.asarray(posterior.structure.values()[name], float))
            before = np.asarray(to_value(centre[at] + sd[at] * normal[:, at], row), float)
            rows.append(_row(f"{name}.of_model", "", row, values, before, None))
        spread = to_value(prior_of(len(posterior.places))[0][NAMES.index("structural_amplitude")], PARAMETERS["structural_amplitude"])
        unseen = np.asarray(prior_level(spread, normal[:, 0]), float)
        for at, code in enumerate(PLANT_TYPES):
            if code in present and LEVEL in posterior.structure.raw:
                level = np.atleast_1d(np.asarray(posterior.structure.level(at), float))
                rows.append(_numbers(AMPLITUDE, code, "1", np.exp(level), np.exp(unseen), level, unseen, None))
        anywhere = {name: float(to_value(centre[at], PARAMETERS[name])) for at, name in enumerate(NAMES)}
        for name, trait in TRAITS.items():
            anyone = prior_share(trait.centre(anywhere), normal[:, 1])
            for at, code in enumerate(PLANT_TYPES):
                if code in present and name in posterior.structure.raw:
                    raw = np.atleast_1d(np.asarray(posterior.structure.raw[name], float)[..., at])
                    rows.append(_numbers(name, code, "1", expit(raw), expit(anyone), raw, anyone, None))
    return pd.DataFrame(rows, columns=COLUMNS)


def _populations(posterior: Posterior) -> Iterator[dict]:
    """Standard deviations of the effects of sites, unconstrained: of the logit of a parameter between its bounds."""
    normal = np.asarray(jax.random.normal(jax.random.key(1), (PRIOR_DRAWS,)))
    sources: dict[str, Any] = dict(all_sources(posterior.model))
    for effect, sd, by in populations(posterior.model):
        path = effect.partition(".z.")[0]
        name = path.removesuffix(".source").rpartition(".")[2]
        leaf, width = np.asarray(learned(posterior.model)[sd], float), sources[path].spread
        values, before = (width * np.exp(0.5 * part) for part in (leaf, normal))
        yield _numbers(f"{name}, sd by {by}", "", "1", values, before, leaf, normal, posterior)


def _row(name: str, code: str, row: Parameter, values: np.ndarray, prior: np.ndarray, chains: Posterior | None) -> dict:
    margin = 1e-6 * (row.upper - row.lower)
    raw, raw_prior = (to_raw(np.clip(part, row.lower + margin, row.upper - margin), row) for part in (values, prior))
    return _numbers(name, code, row.units, values, prior, raw, raw_prior, chains)


def _numbers(name, code, units, values, prior, raw, raw_prior, chains: Posterior | None) -> dict:
    before, after = np.quantile(prior, (0.05, 0.5, 0.95)), np.quantile(values, (0.05, 0.5, 0.95))
    contraction = 1.0 - np.var(raw) / np.var(raw_prior) if len(values) >= FEWEST_FOR_SPREAD else np.nan
    r_hat, ess = _convergence(raw, chains)
    return dict(zip(COLUMNS, (name, code, units, *before, *after, contraction, r_hat, ess), strict=True))


def _convergence(raw: np.ndarray, posterior: Posterior | None) -> tuple[float, float]:
    """R-hat and effective draws of a sampler's chains; NaN for other methods."""
    if posterior is None or "diverging" not in posterior.stats or len(raw) < 4 * posterior.chains:
        return np.nan, np.nan
    from hybridflux.inference.convergence import convergence

    r_hat, effective = convergence({"it": np.asarray(raw).reshape(posterior.chains, -1)})["it"]
    return float(r_hat), float(effective)


def lines(posterior: Posterior, *, file: str | Path | None = None, towers: str | Path | None = None) -> list[str]:
    """The same for people, in plain text.

    Args:
        posterior: of a fit.
        file: it was saved to, for the next commands.
        towers: folder of the fit, for the next commands.
    """
    info = posterior.info
    settings = " ".join(f"{name}={value:g}" for name, value in info.get("settings", {}).items())
    text = [f"{info.get('method')}, seed {info.get('seed')}, {info.get('seconds')} s; {settings}", ""]
    text += [*_sites(info, posterior.places), "", *_parameters(posterior), "", *_judgement(posterior)]
    if file is not None:
        text += ["", f"next: hybridflux evaluate --posterior {file} --towers {towers or 'TOWERS'} --out scores.csv"]
        text += [f"      hybridflux map --posterior {file} --region REGION.zarr --out RUN"]
    return text


def _sites(info, places: Sequence[str]) -> Iterator[str]:
    rows, counts = info.get("places", {}), info.get("observed_days", {})
    types = Counter(row["plant_type"] for row in rows.values())
    kinds = f" ({', '.join(f'{count} {code}' for code, count in types.most_common())})" if rows else ""
    yield f"{len(places)} sites used{kinds}; measured days: {', '.join(f'{count} {name}' for name, count in counts.items())}"
    table = [["site", "type", "years", *counts]]
    for place, row in list(rows.items())[:MOST_SITES]:
        table.append([place, row["plant_type"] or "-", "-".join(map(str, row["years"])) or "-", *map(str, row["days"].values())])
    yield from _aligned(table, left=3)
    if len(rows) > MOST_SITES:
        yield f"  and {len(rows) - MOST_SITES} more, in info['places']"
    left_out = info.get("left_out", {})
    yield f"{len(left_out)} sites left out{':' if left_out else ''}"
    yield from (f"  {place}: {why}" for place, why in left_out.items())


def _parameters(posterior: Posterior) -> Iterator[str]:
    table = [["parameter", "units", "prior median (5 to 95 %)", "posterior median (5 to 95 %)", "contraction", "R-hat", "ESS"]]
    for row in posterior.summary().itertuples():
        name = f"{row.parameter} {row.plant_type}".strip()
        before, after = (f"{b:.3g} ({a:.3g} to {c:.3g})" for a, b, c in (
            (row.prior_q05, row.prior_median, row.prior_q95), (row.q05, row.median, row.q95)
        ))  # fmt: skip
        judged = (_or_dash(row.contraction, ".2f"), _or_dash(row.r_hat, ".3f"), _or_dash(row.ess, ".0f"))
        table.append([name, row.units, before, after, *judged])
    yield from _aligned(table, left=4)
    for name, source in posterior.model.sources.items():
        if (network := source.network()) is not None:
            yield f"  {name} comes from a network of {', '.join(network.inputs)}"


def _judgement(posterior: Posterior) -> Iterator[str]:
    info = posterior.info
    error = info.get("structural_error")
    if error:
        yield (
            f"structural error: the prior counts as {error['prior_towers']:g} towers, the fit as {error['data_towers']:g}; "
            f"residuals {error['residuals']}"
        )
    if gross := info.get("structural_error_of_gross_fluxes"):
        yield f"error that GPP and RECO have in common: the fit counts as {gross['data_towers']:g} towers; residuals {gross['residuals']}"
    if "stacking" in info:
        of_types = ", ".join(f"{code} {share:.2f}" for code, share in info["stacking"]["share_of_networks"].items())
        yield f"stacked: share of networks among the draws {of_types}; {info['stacking']['from']}"
    if "towers_beside" in info:
        yield f"networks were fitted to {len(info['towers_beside'])} towers beside these too: {', '.join(info['towers_beside'])}"
    words = {"r_hat_max": "R-hat at most {:.3f}", "ess_min": "effective draws at least {:.0f}", "divergences": "{} divergent transitions"}
    found = [text.format(info["diagnostics"][name]) for name, text in words.items() if name in info.get("diagnostics", {})]
    if found:
        yield f"convergence of everything learned: {', '.join(found)}"
    concerns = info.get("concerns", [])
    yield "concerns: none" if not concerns else "concerns:"
    yield from (f"  {concern}" for concern in concerns)


def _or_dash(value: float, form: str) -> str:
    return "-" if not np.isfinite(value) else f"{value:{form}}"


def _aligned(table: list[list[str]], left: int) -> Iterator[str]:
    """Rows of text with columns of equal width, the first ones to the left."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    for row in table:
        cells = (cell.ljust(width) if at < left else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
        yield ("  " + "  ".join(cells)).rstrip()
