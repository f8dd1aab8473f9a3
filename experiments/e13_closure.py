"""E13 - Do fluxes and stocks agree, and what does an inventory say of fluxes at a place that no tower of the fit knows?

A model is fitted without FR-Fon and FR-Gri. At these, and at FR-Hes, which has no reflectance and borrows its mean course
(`guests.py`), the draws of an unseen place are the prior of its NEE; an inventory informs them (`hybridflux assimilate`): for the
forests the balance of living trees of the broadleaved forests of their ecological region (IGN: increment, felling, mortality), soils of
French forests and leaching; for the arable field the published export, soils that neither gain nor lose, and leaching. What the tower
measured is never used, so it says whether the update went the right way. Then the same for the maps of the Meuse forest. NEE = RECO -
GPP, positive to the atmosphere, gC m-2 yr-1.

    python experiments/e13_closure.py --data ../shared/data --out runs/e13

Some five minutes on one core; a fit that is done is not repeated. `--smoke` takes about a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from e12_local_towers import with_error
from fitted import SMOKE, arguments_of, built
from guests import open_guests

from hybridflux.data.towers import open_towers
from hybridflux.inference import Ensemble, Posterior
from hybridflux.model.compositions import get
from hybridflux.model.sequences import Sequences
from hybridflux.products.assimilation import Assimilated, assimilate, assimilate_totals
from hybridflux.products.assimilation_table import agreement_of
from hybridflux.products.ensemble_update import prior_predictive_p
from hybridflux.products.inventory import Entry, read_inventory
from hybridflux.products.stock_agreement import UNDECIDABLE
from hybridflux.products.totals import RunTotals, run_record
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.vocabulary import PLANT_TYPES

UNSEEN = ("FR-Fon", "FR-Gri")
SEED, REGION = 1, "meuse-forest"
YEARS = {"FR-Fon": (2006, 2016), "FR-Hes": (2014, 2020), "FR-Gri": (2006, 2009)}
ECOLOGICAL = {"FR-Fon": "B4", "FR-Hes": "C3", REGION: "C2"}
"""Group of ecological regions of IGN: Bassin parisien tertiaire, clay plateau of Lorraine, limestone plateaus of the north-east."""
COMPOSITION = {"DBF": "Feuillu", "ENF": "Conifere"}
STAND = 0.4
"""How far a stand is from the mean of its region, as a share of the increment: an assumption, stands of all ages make up that mean."""
SOIL = 35.0, 30.0
"""Forest soils of France (Jonard et al. 2017, Science of the Total Environment 574: 616-628: 0.35 tC ha-1 yr-1); sd assumed."""
LEACHING = {"forest": (11.8, 5.1), "field": (18.7, 5.0)}
"""Biogenic inorganic and organic carbon (Kindler et al. 2011, 10.1111/j.1365-2486.2010.02282.x)."""
GRIGNON = {"NEP": (440.0, 70.0), "NBP": (-130.0, 110.0)}
"""Four years of rotation (Loubet et al. 2011, Plant and Soil 343: 109-137)."""
FIELD_SOIL = 0.0, 50.0  # an assumption: nothing is known of the soil of the plot but that arable soils change slowly


@dataclass(frozen=True)
class Case:
    """A place with its update and, at a tower, what that measured."""

    name: str
    found: Assimilated
    nugget: float | None
    measured: np.ndarray | None


def main() -> None:
    """Read the arguments and run."""
    arguments = arguments_of(__doc__, "runs/e13")
    data, out = arguments.data, arguments.out
    model = get(arguments.model)
    needs = model.needs_at_towers()
    towers = open_towers(data / "towers", needs=needs, screen=None)
    sequences = towers.sequences(needs)
    posterior = fitted(arguments, model, sequences.select([place for place in sequences.places if place not in UNSEEN]))
    guests = open_guests(data / "towers", towers, out / "guests", needs).sequences(needs)
    cases = []
    for place, years in YEARS.items():
        here = (sequences if place in sequences.places else guests).select([place])
        totals = totals_at(posterior.thin(arguments.draws), here, years)
        entry = field(years) if place == "FR-Gri" else forest(data, place, "DBF", years)
        found = assimilate_totals(totals, [replace(entry, zone=place)], seed=SEED)
        nugget = (posterior.info.get("effect_correlation") or {}).get("nugget")
        cases.append(Case(place, found, nugget if isinstance(nugget, float) else None, measured(data, place, years)))
    cases.append(of_the_meuse(arguments, posterior))
    text = report(cases, len(posterior.places), arguments.draws)
    (out / "results.md").write_text(text)
    print(text)


def fitted(arguments, model, sequences: Sequences) -> Posterior:
    """The fit without the unseen towers, or the one that is there."""
    path = arguments.posterior or arguments.out / "posterior.nc"
    if not path.exists():
        method = Ensemble(**SMOKE) if arguments.smoke else Ensemble()
        path.parent.mkdir(parents=True, exist_ok=True)
        method.fit(model, sequences, seed=SEED).save(path)
    return Posterior.load(path)


def totals_at(posterior: Posterior, here: Sequences, years: tuple[int, int]) -> RunTotals:
    """Monthly carbon of a place as of a cell of 1 m2, with its structural error (and the little that measuring adds to a month)."""
    fluxes = posterior.simulate(here, key=jax.random.key(SEED))
    nee = np.asarray(fluxes["nee"])[..., 0].T
    error = np.asarray(with_error(posterior, fluxes, here))[..., 0].T - nee
    days = pd.DatetimeIndex(here.days)
    inside = (days.year >= years[0]) & (days.year <= years[1])
    first = days[inside].to_period("M").to_timestamp()
    months = first.unique()

    def monthly(values: np.ndarray) -> np.ndarray:
        return pd.DataFrame(values[inside], index=first).groupby(level=0).sum().to_numpy()[None]

    of_day = {"NEE": nee} | {name: np.asarray(fluxes[name.lower()])[..., 0].T for name in ("GPP", "RECO")}
    (kind,) = np.asarray(here.drivers["plant_type"]).astype(int)
    return RunTotals(
        total={name: monthly(values) for name, values in of_day.items()}, structural={"NEE": monthly(error)},
        zone=np.array([here.places[0]], object), land_cover=np.array([PLANT_TYPES[kind]], object), area=np.ones(1),
        months=months, days=months.days_in_month.to_numpy(), spread="parameter+random_effects",
    )  # fmt: skip


def balance(data: Path, place: str, cover: str) -> dict[str, float]:
    """Increment, felling, mortality and gain of living trees of an ecological region, gC m-2 yr-1."""
    table = pd.read_csv(data / "inventories" / "bilan-carbone-foret-par-localisation.csv")
    at = (table["code_localisation"] == ECOLOGICAL[place]) & (table["composition"] == COMPOSITION[cover])
    row = table[at & (table["type_localisation"] == "groupeser")].iloc[0]
    of = {"increment": "production", "felling": "prelevement", "mortality": "mortalite", "gain": "bilan"}
    return {name: 100.0 * float(row[f"{column}_carbone_(tC∙ha-1∙an-1)"]) for name, column in of.items()}


def forest(data: Path, place: str, cover: str, years: tuple[int, int]) -> Entry:
    """The ledger of a forest; of the trees that die, half are taken to stay as dead wood, between none and all."""
    trees = balance(data, place, cover)
    stand, dead = STAND * trees["increment"], 0.5 * trees["mortality"]
    export, leaching = (trees["felling"], STAND * trees["felling"]), LEACHING["forest"]
    soil = SOIL[0] + dead, float(np.hypot(SOIL[1], dead))
    return entry_of(cover, years, (trees["gain"], stand), soil, export, leaching)


def field(years: tuple[int, int]) -> Entry:
    """The ledger of the rotation of Grignon: export is what the published NEP and NBP leave."""
    (nep, nep_sd), (nbp, nbp_sd) = GRIGNON["NEP"], GRIGNON["NBP"]
    leaching = LEACHING["field"]
    export = nep - nbp - leaching[0], float(np.sqrt(nbp_sd**2 - nep_sd**2))
    return entry_of("CRO", years, (0.0, 5.0), FIELD_SOIL, export, leaching)


def entry_of(cover: str, years: tuple[int, int], biomass, soil, export, leaching) -> Entry:
    """An entry of an inventory."""
    away = export[0] + leaching[0], float(np.hypot(export[1], leaching[1]))
    pools = {"biomass": biomass, "soil": soil, "export": away}
    return Entry("region", cover, years, pools, {"export": export, "leaching": leaching})


def measured(data: Path, place: str, years: tuple[int, int]) -> np.ndarray:
    """NEE that the tower measured, each year, gaps filled (FLUXNET, monthly means)."""
    (file,) = (data / "towers" / "monthly").glob(f"FLX_{place}_FLUXNET2015_FULLSET_MM_*")
    table = pd.read_csv(file, usecols=["TIMESTAMP", "NEE_VUT_REF"])
    months = pd.to_datetime(table["TIMESTAMP"].astype(str), format="%Y%m")
    carbon = (table["NEE_VUT_REF"] * months.dt.days_in_month).groupby(months.dt.year).sum()
    return carbon.loc[years[0] : years[1]].to_numpy()


def of_the_meuse(arguments, posterior: Posterior) -> Case:
    """The maps of the Meuse forest, and IGN for its broadleaved and coniferous stands, of one campaign."""
    out, run = arguments.out, arguments.out / "run"
    if not (run / "totals.nc").exists():
        store = out / f"{REGION}.zarr"
        region = store if store.exists() else built(REGION, arguments.data, out)
        period = Period("2019-01-01", "2019-12-31") if arguments.smoke else Period("2017-01-01", "2019-12-31")
        map_region(posterior, region, run, draws=min(arguments.draws, 32), period=period)
    years = (2019, 2019) if arguments.smoke else (2016, 2020)
    rows = []
    for cover in COMPOSITION:
        entry = forest(arguments.data, REGION, cover, years)
        for pool, (value, sd) in {"biomass": entry.pools["biomass"], "soil": entry.pools["soil"], **entry.carried}.items():
            campaign = ("IGN", 0.2) if pool == "biomass" else ("", "")
            rows.append(("region", cover, pool, *years, round(value, 1), round(sd, 1), *campaign))
    path = out / "stock_changes.csv"
    columns = ["zone", "land_cover", "pool", "start_year", "end_year", "value", "sd", "campaign", "correlation"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    assert len(read_inventory(path)) == len(COMPOSITION)
    return Case(REGION, assimilate(run, path, seed=SEED), run_record(run).get("effect_nugget"), None)


def report(cases: list[Case], towers: int, draws: int) -> str:
    """The results as a Markdown page."""
    lines = [
        "# E13: fluxes and stocks", "",
        f"`hybrid_nirv`, ensemble of 8, {towers} European towers without FR-Fon and FR-Gri, seed {SEED}, {draws} draws (Meuse:",
        f"{min(draws, 32)}); NEE = RECO - GPP, positive to the atmosphere, gC m-2 yr-1, mean ± sd of draws, with the structural error.",
        "Command: see the head of `experiments/e13_closure.py`.", "",
        "| place | years | NEE, prior | stock change | export | NEE by the ledger | p | NEE, assimilated | NEE, measured | model error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    answers = ["", "| place | verdict | gap, 90 % | gap that matters | years to decide | plots, times | towers |", "|" + 7 * "---|"]
    for case in cases:
        for change, after in zip(case.found.changes, case.found.updated, strict=True):
            (stock, stock_sd), (away, away_sd) = (change.measured, change.sd), change.entry.pools["export"]
            p = prior_predictive_p(change.nbp[None], np.array([stock]), np.array([stock_sd]))[0]
            seen = "-" if case.measured is None else f"{case.measured.mean():.0f} ({case.measured.min():.0f} to {case.measured.max():.0f})"
            bias = "-" if after.bias is None else pm(after.bias.mean(), after.bias.std(ddof=1))
            name = f"{case.name}, {change.entry.land_cover}"
            lines.append(
                f"| {name} | {change.entry.years[0]}-{change.entry.years[1]} | {pm(change.nee.mean(), change.nee.std(ddof=1))} "
                f"| {pm(stock, stock_sd)} | {pm(away, away_sd)} | {pm(-stock - away, np.hypot(stock_sd, away_sd))} | {p:.2f} "
                f"| {pm(after.nee.mean(), after.nee.std(ddof=1))} | {seen} | {bias} |"
            )
            said = agreement_of(change, after, case.nugget)
            levers = (known(said.years_to_decide, 0), known(said.plots_to_decide, 1), known(said.towers_to_decide, 0))
            answers.append(
                f"| {name} | {said.verdict} | {said.gap:.0f} ({said.gap_q05:.0f} to {said.gap_q95:.0f}) | {said.gap_that_matters:.0f} | "
                + " | ".join(levers if said.verdict == UNDECIDABLE else "-" * 3) + " |"
            )
    return "\n".join([*lines, *answers, ""])


def pm(value: float, sd: float) -> str:
    """`-300 ± 20`."""
    return f"{value:.0f} ± {sd:.0f}"


def known(value: float, digits: int) -> str:
    """A number, or that the lever alone is not enough."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "not alone"


if __name__ == "__main__":
    main()
