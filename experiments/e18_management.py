"""E18 - Which mowings and fellings do vegetation series show, how surely, and what carbon leaves with them?

CH-Cha: mowing days 2005-2023 of the two parcels and the footprint, against Sentinel-2 (fapar of 50 m, NDVI and EVI2 of 10 m, 2017-2023) and
MODIS (1 km, 2005-2018). Days at most six apart are one mowing. A cut found within 5 (10) days of a mowing day is a hit, one to one. Beside
`series.find_cuts` stand plain thresholds on the fall between two views, dated by the first low view or by the middle of the gap, with the
threshold that is best on these very data. The ceiling is what a reader who knows of every mowing, and dates it by the middle of its gap,
would hit. The Slovenian meadow of 2021 has no record: its table says what is found. At the Meuse, felled are pixels whose median of May to
September fell by more than 0.25 from 2018 to 2019 (as in E08), searched pixel by pixel and in parcels of 50 m, in forest by BD Foret.

    python experiments/e18_management.py --data ../shared/data --out runs/e18

About two minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from hybridflux.machine import prepare

prepare()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import rasterio  # noqa: E402
from e08_gap_filling import meadow, meuse  # noqa: E402

from hybridflux.products.carbon_ledger import carry  # noqa: E402
from hybridflux.products.management import Event  # noqa: E402
from hybridflux.products.totals import RunTotals  # noqa: E402
from hybridflux.provenance import provenance  # noqa: E402
from hybridflux.series import GRASS, CutModel, fill, find_cuts, find_fellings, learn, seen_days  # noqa: E402

SITE = "CH-Cha"
SAME = 6  # days between mowing days of one mowing
SPANS = {"fapar_50m": 0.95, "ndvi": 0.7, "evi2": 0.8}
SINCE, UNTIL = {"Sentinel-2": "2017-02-16", "MODIS": "2005-01-01"}, {"Sentinel-2": "2023-12-31", "MODIS": "2018-12-31"}
THRESHOLDS = np.arange(0.06, 0.42, 0.02)
FELLED, PARCEL = 0.25, 5  # fall of the summer median; pixels of the side of a parcel
DRAWS = 400


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with towers and eo")
    parser.add_argument("--out", type=Path, default=Path("runs/e18"))
    arguments = parser.parse_args()
    began = time.perf_counter()
    arguments.out.mkdir(parents=True, exist_ok=True)
    towers, eo = arguments.data / "towers", arguments.data / "eo"
    mown, grazed = mowings(towers)
    series = views(towers)
    scores = chamau(series, mown)
    scores.to_csv(arguments.out / "chamau.csv", index=False)
    sections = [
        report_chamau(scores, series, mown, grazed), report_meadow(eo), report_meuse(eo),
        report_carbon(towers, mown, series["Sentinel-2", "fapar_50m"]),
    ]  # fmt: skip
    text = "\n".join(["# E18: management from vegetation series, and the carbon that leaves", "", *sections])
    (arguments.out / "results.md").write_text(text)
    (arguments.out / "run.json").write_text(json.dumps({**provenance({}, 0), "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def mowings(towers: Path) -> tuple[np.ndarray, np.ndarray]:
    """First and last day of each mowing `[mowing, 2]`, and all days with grazing."""
    table = pd.read_csv(towers / f"management_{SITE}.csv", parse_dates=["date"])
    days = np.unique(table.date[table.event.str.contains("MOWING")].to_numpy("datetime64[D]"))
    groups = np.split(days, np.flatnonzero(np.diff(days) > np.timedelta64(SAME, "D")) + 1)
    grazed = np.unique(table.date[table.event.str.contains("GRAZING")].to_numpy("datetime64[D]"))
    return np.array([(group[0], group[-1]) for group in groups]), grazed


def views(towers: Path) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """(sensor, index) -> days and values of the clear views."""
    folder, found = towers / "reflectance", {}
    sentinel, modis, fapar = (
        pd.read_csv(folder / f"{name}.csv.gz", parse_dates=["date"]).query("site_id == @SITE").drop_duplicates("date").sort_values("date")
        for name in ("sentinel2_hrvpp_10m", "modis_1km", "sentinel2_fapar_50m")
    )
    modis = modis.assign(ndvi=(modis.nir - modis.red) / (modis.nir + modis.red),
                         evi2=2.5 * (modis.nir - modis.red) / (modis.nir + 2.4 * modis.red + 1e4))  # fmt: skip
    tables = (("Sentinel-2", fapar, "fapar_50m"), ("Sentinel-2", sentinel, "ndvi"), ("Sentinel-2", sentinel, "evi2"),
              ("MODIS", modis, "ndvi"), ("MODIS", modis, "evi2"))  # fmt: skip
    for sensor, table, name in tables:
        clear = table[table[name].notna()]
        found[sensor, name] = clear.date.to_numpy("datetime64[D]"), clear[name].to_numpy()
    return found


def cuts_of(days: np.ndarray, values: np.ndarray, model: CutModel) -> tuple[np.ndarray, np.ndarray]:
    """Days and probabilities of the cuts of one series."""
    found = find_cuts(values[:, None], (days - days[0]).astype(int), first=day_of_year(days[0]), model=model)
    on = found.probability[:, 0] > 0
    return days[0] + np.round(found.day[on, 0]).astype(int), found.probability[on, 0]


def filled_cuts(days: np.ndarray, values: np.ndarray, model: CutModel) -> tuple[np.ndarray, np.ndarray]:
    """The same of a filled series, as `hybridflux events` searches it."""
    when = (days - days[0]).astype(int)
    length = int(when[-1]) + 1
    daily = fill(values[:, None], when, length, process=learn(values[:, None], when, length))
    seen, at = seen_days(daily.mean, daily.sd)
    found = find_cuts(seen, at, first=day_of_year(days[0]), model=model)
    on = found.probability[:, 0] > 0
    return days[0] + np.round(found.day[on, 0]).astype(int), found.probability[on, 0]


def threshold_cuts(days: np.ndarray, values: np.ndarray, fall: float, middle: bool) -> np.ndarray:
    """Days of falls beyond a threshold between neighbouring views, none within 15 days of the one before."""
    found: list[np.datetime64] = []
    for before, after, high, low in zip(days[:-1], days[1:], values[:-1], values[1:], strict=True):
        of_year = day_of_year(after)
        if high - low > fall and GRASS.season[0] <= of_year <= GRASS.season[1]:
            day = before + (after - before) // 2 if middle else after
            if not found or (day - found[-1]).astype(int) >= GRASS.least_days:
                found.append(day)
    return np.array(found, "datetime64[D]")


def score(found: np.ndarray, mown: np.ndarray, sensor: str, tolerance: int) -> dict:
    """Precision, recall, F1 and days late of cuts against mowings, one to one, the nearest first."""
    since, until = np.datetime64(SINCE[sensor]), np.datetime64(UNTIL[sensor])
    found, mown = found[(found >= since) & (found <= until)], mown[(mown[:, 0] >= since) & (mown[:, 0] <= until)]
    late = late_by(found, mown)
    hits, left = [], np.ones(late.shape, bool)
    while left.any():
        place = np.unravel_index(np.where(left, np.abs(late), 10**6).argmin(), late.shape)
        if not left[place] or abs(late[place]) > tolerance:
            break
        hits.append(late[place])
        left[place[0]] = left[:, place[1]] = False
    precision, recall = len(hits) / max(len(found), 1), len(hits) / max(len(mown), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"mowings": len(mown), "found": len(found), "precision": precision, "recall": recall, "f1": f1,
            "late": float(np.mean(hits)) if hits else np.nan}  # fmt: skip


def late_by(found: np.ndarray, mown: np.ndarray) -> np.ndarray:
    """Days by which each cut is after each mowing, negative before it, 0 within `[cut, mowing]`."""
    after, before = ((found[:, None] - mown[None, :, side]).astype(int) for side in (1, 0))
    return np.where(after > 0, after, np.minimum(before, 0))


def chamau(series: dict, mown: np.ndarray) -> pd.DataFrame:
    """Scores of all series and methods."""
    rows = []
    for (sensor, name), (days, values) in series.items():
        model = CutModel(span=SPANS[name])
        found = {}
        for method, search in (("find_cuts", cuts_of), ("find_cuts, filled series", filled_cuts)):
            if method == "find_cuts" or name == "fapar_50m":
                at, probability = search(days, values, model)
                found |= {f"{method}, p > {least}": at[probability > least] for least in (0.5, 0.4)}
        for middle, words in ((False, "threshold, first low view"), (True, "threshold, middle of the gap")):
            tried = [threshold_cuts(days, values, fall, middle) for fall in THRESHOLDS]
            best = int(np.argmax([score(one, mown, sensor, 5)["f1"] for one in tried]))
            found[f"{words}, best {THRESHOLDS[best]:.2f}"] = tried[best]
        for method, at in found.items():
            wide = score(at, mown, sensor, 10)
            rows.append({"series": f"{sensor} {name}", "method": method, **score(at, mown, sensor, 5), "f1_10": wide["f1"]})
    return pd.DataFrame(rows)


def shown(days: np.ndarray, values: np.ndarray, mown: np.ndarray, sensor: str) -> pd.DataFrame:
    """Of each mowing the days to the views around it, the error of the middle of that gap, and the fall over it."""
    inside = mown[(mown[:, 0] >= np.datetime64(SINCE[sensor])) & (mown[:, 0] <= np.datetime64(UNTIL[sensor]))]
    rows = []
    for first, last in inside:
        before, after = np.searchsorted(days, first, side="right") - 1, np.searchsorted(days, last, side="right")
        early, late = int((first - days[before]).astype(int)), int((days[after] - last).astype(int))
        middle = days[before] + (days[after] - days[before]) // 2
        off = abs(int(late_by(np.array([middle]), np.array([[first, last]]))[0, 0]))
        rows.append({"mowing": first, "before": early, "after": late, "off": off, "fall": values[before] - values[after]})
    return pd.DataFrame(rows)


def report_chamau(scores: pd.DataFrame, series: dict, mown: np.ndarray, grazed: np.ndarray) -> str:
    """The section on CH-Cha."""
    lines = [
        "## CH-Cha", "", f"{len(mown)} mowings in 2005-2023. `late`: mean days of the hits after the mowing; F1 within 5 and 10 days.", "",
        "| series | method | mowings | found | precision | recall | F1 (5 d) | F1 (10 d) | late |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in scores.itertuples():
        lines.append(f"| {row.series} | {row.method} | {row.mowings} | {row.found} | {row.precision:.2f} | {row.recall:.2f} | {row.f1:.2f} "
                     f"| {row.f1_10:.2f} | {row.late:+.1f} |")  # fmt: skip
    days, values = series["Sentinel-2", "fapar_50m"]
    seen = shown(days, values, mown, "Sentinel-2")
    clear = seen[(seen.off <= 5) & (seen.fall > 0.1)]
    at, probability = cuts_of(days, values, GRASS)
    at, probability = at[at <= np.datetime64(UNTIL["Sentinel-2"])], probability[at <= np.datetime64(UNTIL["Sentinel-2"])]
    best = score(at[probability > 0.4], mown, "Sentinel-2", 5)
    first = clear.mowing.to_numpy("datetime64[D]")
    hit = np.abs(late_by(at[probability > 0.4], np.stack([first, first], 1))).min(0) <= 5
    recall = hit.mean()
    f1 = 2 * best["precision"] * recall / (best["precision"] + recall)
    lines += ["", f"What Sentinel-2 (fapar) shows of {len(seen)} mowings:", "", "| a clear view before and one after, within | mowings |",
              "|---|---|", *(f"| {near} days | {((seen.before <= near) & (seen.after <= near)).sum()} |" for near in (3, 5, 10, 15)), "",
              f"The middle of the gap between the views around a mowing is within 5 days of {(seen.off <= 5).sum()} of {len(seen)}: "
              f"no reader can be sure to date more. Fapar fell by more than 0.1 over the gap at {(seen.fall > 0.1).sum()}; both "
              f"hold of {len(clear)}. Of these, p > 0.4 finds {hit.sum()} within 5 days: recall {recall:.2f}, and with the precision "
              f"above F1 {f1:.2f}.",
              "", "| probability | cuts | mean probability | share within 15 days of a mowing |", "|---|---|---|---|"]  # fmt: skip
    late = np.abs(late_by(at, mown)).min(1)
    for low, high in ((0.05, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.0)):
        on = (probability > low) & (probability <= high)
        lines.append(f"| {low} to {high} | {on.sum()} | {probability[on].mean():.2f} | {(late[on] < GRASS.least_days).mean():.2f} |")
    false = at[(probability > 0.4) & (late > 5)]
    near_grazing = sum(bool((np.abs((grazed - day).astype(int)) <= 5).any()) for day in false)
    lines += [
        "", f"Of {len(false)} cuts (p > 0.4) without a mowing within 5 days, {near_grazing} lie within 5 days of a day with grazing. "
        "A day at random in the season is within 15 days of a mowing with a probability of about a half: the first row is no more.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def report_meadow(eo: Path) -> str:
    """The section on the Slovenian meadow."""
    dates, values = meadow(eo)
    when = (dates - dates[0]).astype(int)
    keep = np.concatenate([[True], np.diff(when) > 0])
    found = find_cuts(values[keep], when[keep], first=day_of_year(dates[0]), model=CutModel(span=SPANS["ndvi"]))
    sure = found.probability > 0.5
    expected = found.probability.sum(0)
    days = dates[0] + np.round(found.day[sure]).astype(int)
    month = pd.Series(days).dt.to_period("M").value_counts().sort_index()
    share = [f"{name}: {count / values.shape[1]:.2f}" for name, count in month.items()]
    low, middle, high = np.quantile(expected, [0.05, 0.5, 0.95])
    return "\n".join([
        "## Slovenian meadow, 2021", "", f"{values.shape[1]} pixels, {keep.sum()} dates, NDVI. Expected cuts a pixel: median {middle:.2f}, "
        f"5 to 95 % {low:.2f} to {high:.2f}; with p > 0.5: mean {sure.sum(0).mean():.2f}. A pixel and month: {'; '.join(share)}.", "",
    ])  # fmt: skip


def report_meuse(eo: Path) -> str:
    """The section on the felled stand."""
    dates, values = meuse(eo)
    when = (dates - dates[0]).astype(int)
    with rasterio.open(eo / "meuse_theia" / "BDForet_ZoneTest.tif") as file:
        forest = file.read(1).ravel() == 1
    years, months = dates.astype("datetime64[Y]").astype(int) + 1970, dates.astype("datetime64[M]").astype(int) % 12 + 1
    summer = [np.nanmedian(values[(years == year) & (months >= 5) & (months <= 9)], axis=0) for year in (2018, 2019)]
    fall = summer[0] - summer[1]
    winter = np.nanmedian(values[(years <= 2018) & np.isin(months, (12, 1, 2, 3))], axis=0)
    lines = [
        "## Felled stand at the Meuse", "", "| class | pixels | felled (E08) | found, p > 0.5 | of these felled | fell by 0.15 to 0.25 "
        "| other | day of the felled, median | sd of the day [d], median |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, chosen in (("evergreen", forest & (winter > 0.78)), ("other forest", forest & (winter <= 0.78))):
        own = np.flatnonzero(chosen)
        sample = np.random.default_rng(8).permutation(own)[:1200]
        process = learn(values[:, sample], when, int(when[-1]) + 1)
        found = find_fellings(values[:, own], when, process=process)
        on, felled, partly = found.probability > 0.5, fall[own] > FELLED, (fall[own] > 0.15) & (fall[own] <= FELLED)
        day = dates[0] + int(np.median(found.day[on & felled]))
        lines.append(f"| {name} | {own.size} | {felled.sum()} | {on.sum()} | {(on & felled).sum()} | {(on & partly).sum()} "
                     f"| {(on & ~felled & ~partly).sum()} | {day} | {np.median(found.sd[on & felled]):.0f} |")  # fmt: skip
    lines += ["", *parcels(values, when, dates, forest, fall), ""]
    return "\n".join(lines)


def parcels(values: np.ndarray, when: np.ndarray, dates: np.ndarray, forest: np.ndarray, fall: np.ndarray) -> list[str]:
    """Means of 50 m parcels of forest, the most probable fellings first."""

    def blocks(pixels: np.ndarray) -> np.ndarray:
        side = 80 // PARCEL
        split = pixels.reshape(*pixels.shape[:-1], side, PARCEL, side, PARCEL).swapaxes(-3, -2)
        return split.reshape(*pixels.shape[:-1], side * side, PARCEL * PARCEL)

    kept = blocks(forest).mean(-1) >= 0.6
    wooded = blocks(np.where(forest, values, np.nan))[:, kept]
    enough = np.isfinite(wooded).mean(-1) >= 0.5
    mean = np.where(enough, np.nanmean(np.where(enough[..., None], wooded, 0.0), -1), np.nan).astype(np.float32)
    share = np.nanmean(np.where(blocks(forest)[kept], blocks(fall > 0.15)[kept], np.nan), -1)
    found = find_fellings(mean, when, process=learn(mean, when, int(when[-1]) + 1))
    order = np.argsort(-found.probability)[:10]
    rows = [
        f"| {found.probability[one]:.2f} | {dates[0] + int(found.day[one])} | {found.sd[one]:.0f} | {found.fall[one]:.2f} "
        f"| {share[one]:.2f} |" for one in order
    ]  # fmt: skip
    felled = share >= 0.5
    on = found.probability > 0.5
    return [
        f"{kept.sum()} parcels of 50 m, {felled.sum()} of them with half of their pixels down by more than 0.15; p > 0.5 of {on.sum()}, of "
        f"which {(felled & on).sum()} are such. The ten most probable:", "",
        "| probability | day | sd [d] | fall | share of pixels down by more than 0.15 |", "|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def report_carbon(towers: Path, mown: np.ndarray, views_of_site: tuple[np.ndarray, np.ndarray]) -> str:
    """The section on what leaves CH-Cha with the mowings."""
    path = next((towers / "fluxnet_dd").glob(f"FLX_{SITE}_*"))
    table = pd.read_csv(path, na_values=-9999, parse_dates=["TIMESTAMP"]).set_index("TIMESTAMP")
    gpp = table["GPP_NT_VUT_REF"].combine_first(table["GPP_DT_VUT_REF"])
    count, annual = gpp.groupby(gpp.index.year).count(), gpp.groupby(gpp.index.year).sum()
    at, probability = cuts_of(*views_of_site, GRASS)
    whole = [year for year in annual.index if count[year] > 340 and year != 2005]
    rows = []
    for year in whole:
        of_year = gpp[gpp.index.year == year]
        monthly = of_year.groupby(of_year.index.month).mean() * of_year.index.to_period("M").days_in_month[0]
        first = pd.DatetimeIndex([pd.Timestamp(year, month, 1) for month in range(1, 13)])
        grams = (monthly.reindex(range(1, 13)).interpolate().to_numpy() / of_year.index.to_period("M").days_in_month[0])[:, None]
        grams = np.broadcast_to(grams * first.days_in_month.to_numpy()[:, None], (12, DRAWS))
        totals = RunTotals({"GPP": grams[None], "RECO": grams[None], "NEE": 0 * grams[None]}, np.array(["site"], object),
                           np.array(["GRA"], object), np.array([1.0]), first, first.days_in_month.to_numpy(), "parameter")  # fmt: skip
        days = [pd.Timestamp(one) for one in mown[:, 0] if pd.Timestamp(one).year == year]
        export = carry(totals, [Event("site", "GRA", day, "mowing") for day in days], [], 0).export[0, 0]
        row = {"year": year, "gpp": grams[:, 0].sum(), "mowings": len(days), "export": export.mean(), "sd": export.std()}
        cuts = [(pd.Timestamp(day), chance) for day, chance in zip(at, probability, strict=True) if pd.Timestamp(day).year == year]
        seen = carry(totals, [Event("site", "GRA", day, "mowing", probability=chance) for day, chance in cuts], [], 0).export[0, 0]
        rows.append(row | {"expected": sum(chance for _, chance in cuts), "seen": seen.mean() if cuts else np.nan, "seen_sd": seen.std()})
    found = pd.DataFrame(rows)
    lines = [
        "## What leaves CH-Cha with the mowings", "", "GPP of the tower (nighttime method), recorded mowings, `harvest.FRACTIONS['GRA']`; "
        "gC m-2 yr-1. Years with more than 340 days of GPP, without 2005.", "", "| year | GPP | mowings | export | sd "
        "| mowings expected from Sentinel-2 | export by these | sd |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found.itertuples():
        seen = f"{row.expected:.1f} | {row.seen:.0f} | {row.seen_sd:.0f}" if np.isfinite(row.seen) else "- | - | -"
        lines.append(f"| {row.year} | {row.gpp:.0f} | {row.mowings} | {row.export:.0f} | {row.sd:.0f} | {seen} |")
    lines += [
        "", f"Mean: GPP {found.gpp.mean():.0f}, export {found.export.mean():.0f}. Measured in 2005-2020: 335 +- 73 (Feigenwinter et al. "
        f"2023, hdl 20.500.11850/623992), {335 / found.gpp.mean():.2f} of this GPP. The fraction stands on that ratio, so that the "
        "agreement of the mean is no test. A mowing that no view shows is harvested with the next one that is found: the export of a year "
        "hangs on its last mowing more than on their number.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def day_of_year(day: np.datetime64) -> int:
    """Day of the year, 1 to 366."""
    return int((day - day.astype("datetime64[Y]")).astype(int)) + 1


if __name__ == "__main__":
    main()
