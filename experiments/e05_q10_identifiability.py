"""E05 - Can a hybrid model tell the Q10 of respiration, and does it say so when it cannot?

The benchmark of Reichstein et al. 2022 (10.1002/9781119646181.ch21; repository bask0/q10hybrid; Cohrs et al. 2024, arXiv 2402.13332):
RECO = Rb(SW, dSW) Q10^((T - 15) / 10) (1 + error), with real drivers of two towers, relative errors of 0.2 and a base rate that is a
straight line in shortwave radiation and its change. Here SW is the mean of 30 days [W m-2] and dSW its difference from the mean of 90 days.
Coefficients of the base rate are scattered around those of the benchmark, the true Q10 is 1.5 (also the median of our prior) or 2.0 (not).

Our model: `respiration_ref` from a network, `q10` one learned number, fitted to daily RECO alone. In case A the network reads the two
radiation means; in case B also the temperature of the day, in case C that of the last 30 days. RECO [gC m-2 d-1] is positive to the
atmosphere.

    python experiments/e05_q10_identifiability.py --data ../shared/data/towers --out runs/e05
    python experiments/e05_q10_identifiability.py --data ../shared/data/towers --out runs/e05_smoke --smoke

Fits that are done are not computed again. About 25 minutes on one core; `--smoke` about one.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.identify import identify
from hybridflux.evaluate.restarts import restarts
from hybridflux.inference import MAP, NUTS, SVI, Ensemble
from hybridflux.model import observe
from hybridflux.model.flux import HybridFlux
from hybridflux.model.noise import StudentT
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Fixed, Neural, Shared
from hybridflux.process import light, respiration
from hybridflux.provenance import config_hash, provenance
from hybridflux.units import PAR_PER_SHORTWAVE

SEED = 5
SITES = ("DE-Tha", "FR-Pue")
TRUE = (1.5, 2.0)
MJ_PER_WATT = 0.0864  # MJ m-2 d-1 in a W m-2
ERROR = 0.2  # relative, cut at 0.95, as in the benchmark
LEVELS = (50, 80, 90)
INPUTS = {"A": ("par_30d", "par_90d"), "B": ("par_30d", "par_90d", "tair"), "C": ("par_30d", "par_90d", "tair_30d")}
FULL = {
    "years": (2004, 2006), "width": 3, "several": 2, "starts": 3,
    "work": (("A", "SVI", 20), ("A", "Ensemble", 20), ("A", "MAP", 20), ("B", "SVI", 8), ("B", "Ensemble", 4), ("B", "MAP", 8),
             ("C", "SVI", 8), ("A", "NUTS", 20), ("B", "NUTS", 4)),
}  # fmt: skip
SMOKE = {"years": (2005, 2005), "width": 3, "several": 1, "starts": 2, "work": (("A", "SVI", 1), ("B", "SVI", 1))}
METHODS = {"MAP": MAP(), "Ensemble": Ensemble(members=20), "SVI": SVI(), "NUTS": NUTS()}
SMOKE_METHODS = {"SVI": SVI(steps=800, mode_steps=800)}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e05"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, *((SMOKE, SMOKE_METHODS) if arguments.smoke else (FULL, METHODS)))


def run(data: Path, out: Path, size: dict, methods: dict) -> None:
    """All fits, the tables and the figure."""
    began = time.perf_counter()
    names = {"tair", "par", "fapar", "plant_type", *(name for inputs in INPUTS.values() for name in inputs)}
    weather = {site: open_towers(data, sites=[site], years=size["years"]).sequences(names) for site in SITES}
    (out / "fits").mkdir(parents=True, exist_ok=True)
    fits, comparisons = [], []
    for case, name, repeats in size["work"]:
        for repeat in range(repeats):
            starts = size["starts"] if repeat < size["several"] else 1
            settings = {"case": case, "inputs": INPUTS[case], "method": repr(methods[name]), "width": size["width"],
                        "years": size["years"], "repeat": repeat, "starts": starts, "seed": SEED}  # fmt: skip
            file = out / "fits" / f"{case}-{name}-{repeat}-{config_hash(settings)[:12]}.json"
            if not file.exists():
                file.write_text(json.dumps(one_repeat(weather, case, methods[name], repeat, starts, size["width"]), indent=1))
            done = json.loads(file.read_text())
            fits += [{"case": case, "method": name, **done["truth"], **fit} for fit in done["fits"]]
            comparisons.append({"case": case, "method": name, **done["truth"], **done["comparison"]})
        print(f"case {case}, {name}: {repeats} repeats, {time.perf_counter() - began:.0f} s", flush=True)
    fits, comparisons = pd.DataFrame(fits), pd.DataFrame(comparisons)
    fits.to_csv(out / "fits.csv", index=False)
    comparisons.to_csv(out / "comparisons.csv", index=False)
    draw_figure(fits, out / "q10.png")
    text = report(fits, comparisons, size, methods)
    (out / "results.md").write_text(text)
    (out / "run.json").write_text(json.dumps({**provenance({"size": size}, SEED), "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def benchmark(weather: dict[str, Sequences], repeat: int) -> tuple[Sequences, dict]:
    """One synthetic tower: real drivers, made respiration; the first four repeats have the coefficients of the benchmark."""
    rng = np.random.default_rng((SEED, repeat))
    site, q10 = SITES[repeat % 2], TRUE[(repeat + repeat // 2) % 2]
    here = weather[site]
    gain, lag, floor = (1.0, 1.0, 1.0) if repeat < 4 else (rng.uniform(0.5, 1.5), rng.uniform(0.0, 2.0), rng.uniform(0.5, 3.0))
    shortwave, before = (here.drivers[name].astype(float) / (PAR_PER_SHORTWAVE * MJ_PER_WATT) for name in ("par_30d", "par_90d"))
    shape = 0.75 * (0.01 * gain * shortwave - 0.005 * lag * (shortwave - before))
    base = shape - shape.min() + 0.75 * 0.1 * np.pi * floor
    reco = base * q10 ** ((here.drivers["tair"] - 15.0) / 10.0)
    reco = reco * (1.0 + np.clip(rng.normal(0.0, ERROR, reco.shape), -0.95, 0.95))
    return replace(here, targets={"reco": reco.astype(np.float32)}, uncertainty={}), {"repeat": repeat, "site": site, "true_q10": q10}


def one_repeat(weather, case: str, method, repeat: int, starts: int, width: int) -> dict:
    """All starts of a method on one synthetic tower: what each says of Q10, how they agree, what the guard says."""
    sequences, truth = benchmark(weather, repeat)
    model = HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal, respiration.q10_response),
        sources={"respiration_ref": Neural(*INPUTS[case], width=width), "q10": Shared()},
        observed=(observe.reco(StudentT(tail=Fixed(30.0))),),
    )
    posteriors, fits = [], []
    for start in range(starts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # concerns are counted below
            posterior = method.fit(model, sequences, seed=SEED + 100 * repeat + start)
        posteriors.append(posterior)
        draws = posterior.parameter_draws()["q10"]
        chained = draws.reshape(posterior.chains, -1)
        row = {"start": start, "median": np.median(draws), "sd": draws.std(), "seconds": posterior.info["seconds"],
               "concerns": len(posterior.info["concerns"])}  # fmt: skip
        for level in LEVELS:
            row[f"low{level}"], row[f"high{level}"] = np.quantile(draws, [0.5 - level / 200, 0.5 + level / 200])
        if type(method) is NUTS:
            row |= {"r_hat": split_gelman_rubin(chained), "ess": effective_sample_size(chained)}
        fits.append({name: float(value) for name, value in row.items()})
    guard = identify(posteriors[0], sequences)
    correlation = guard.confounded.correlation.tolist()
    comparison = {"starts": starts, "guard": [text for text in guard.warnings if "the network of" in text],
                  "correlation": correlation[0] if correlation else None}  # fmt: skip
    if starts > 1:
        row = restarts(posteriors, sequences).parameters.set_index("parameter").loc["q10"]
        comparison |= {"apart": float(row.apart), "lowest": row.lowest, "highest": row.highest, "verdict": row.verdict}
    return {"truth": truth, "fits": fits, "comparison": comparison}


def report(fits: pd.DataFrame, comparisons: pd.DataFrame, size: dict, methods: dict) -> str:
    """The results as a Markdown page."""
    cases = dict.fromkeys(case for case, _, _ in size["work"])
    lines = [
        "# E05: the Q10 benchmark",
        "",
        f"Synthetic respiration on the daily drivers of {' and '.join(SITES)}, {size['years'][0]}-{size['years'][1]}, true Q10 {TRUE[0]} "
        f"and {TRUE[1]} in turn, relative error {ERROR}.",
        f"Network of {size['width']} tanh units for the base rate on: "
        + "; ".join(f"{case} {', '.join(INPUTS[case])}" for case in cases) + ".",
        "Command: `python experiments/e05_q10_identifiability.py --data TOWERS --out runs/e05`, seed "
        f"{SEED}, {'; '.join(repr(method) for method in methods.values())}.",
        "",
        "## One start per repeat",
        "",
        "`error` is the median of Q10 minus the truth; `cover` the share of repeats whose central interval holds the truth.",
        "",
        "| case | method | repeats | mean error | RMSE | mean sd | cover 50 | cover 80 | cover 90 | seconds | with concerns |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (case, method), part in fits[fits.start == 0].groupby(["case", "method"], sort=False):
        error = part["median"] - part.true_q10
        inside = [((part[f"low{level}"] <= part.true_q10) & (part.true_q10 <= part[f"high{level}"])).mean() for level in LEVELS]
        cover = " | ".join("-" if method == "MAP" else f"{share:.2f}" for share in inside)
        spread = "-" if method == "MAP" else f"{part.sd.mean():.3f}"
        lines.append(
            f"| {case} | {method} | {len(part)} | {error.mean():+.3f} | {np.sqrt((error**2).mean()):.3f} | {spread} | {cover} "
            f"| {part.seconds.mean():.0f} | {int((part.concerns > 0).sum())} |"
        )
    if "r_hat" in fits:
        nuts = fits[fits.method == "NUTS"].groupby("case")
        convergence = "; ".join(
            f"case {case} R-hat {part.r_hat.median():.2f} (worst {part.r_hat.max():.2f}), {part.ess.median():.0f} effective "
            f"draws (fewest {part.ess.min():.0f})" for case, part in nuts
        )  # fmt: skip
        lines += ["", f"NUTS on Q10 itself, median over fits: {convergence}. Its concerns are about weights, which have symmetries."]
    several = comparisons[comparisons.starts > 1]
    lines += [
        "", "## Several starts of the same data", "",
        "`apart`: the largest difference between the means of two starts, in posterior standard deviations (unconstrained).", "",
        "| case | method | tower | true Q10 | starts | medians | apart | verdict |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in several.itertuples():
        apart = "-" if row.verdict == "undecided" else f"{row.apart:.1f}"
        lines.append(
            f"| {row.case} | {row.method} | {row.site} | {row.true_q10} | {row.starts} | {row.lowest:.2f} to {row.highest:.2f} "
            f"| {apart} | {row.verdict} |"
        )
    lines += ["", "## What the guard says", "", "| case | method | fits with the warning | correlation of Q10 with the network's slope |",
              "|---|---|---|---|"]  # fmt: skip
    for (case, method), part in comparisons.groupby(["case", "method"], sort=False):
        warned = part.guard.map(len) > 0
        correlation = part.correlation.astype(float).median()
        lines.append(
            f"| {case} | {method} | {int(warned.sum())} of {len(part)} | {'-' if np.isnan(correlation) else f'{correlation:.2f}'} |"
        )
    for case in cases:
        said = next((texts[0] for texts in comparisons[comparisons.case == case].guard if texts), "nothing")
        lines += ["", f"Case {case}: {said}"]
    return "\n".join(lines) + "\n"


def draw_figure(fits: pd.DataFrame, path: Path) -> None:
    """Intervals of every repeat, one panel a case and method: the true Q10 is a line, the starts of a repeat stand side by side."""
    groups = list(fits.groupby(["case", "method"], sort=False))
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.2 * rows), squeeze=False, layout="constrained")
    for axis in axes.ravel()[len(groups) :]:
        axis.set_visible(False)
    for ((case, method), part), axis in zip(groups, axes.ravel(), strict=False):
        for true, colour in zip(TRUE, ("tab:blue", "tab:orange"), strict=True):
            one = part[part.true_q10 == true].sort_values(["repeat", "start"])
            at = part.sort_values(["repeat", "start"]).index.get_indexer(one.index)
            bars = np.abs(one[["low90", "high90"]].to_numpy().T - one["median"].to_numpy())
            axis.errorbar(at, one["median"], yerr=bars, fmt="o", ms=3, lw=1, color=colour, label=f"true {true}")
            axis.axhline(true, color=colour, lw=0.8, ls="--")
        axis.set(title=f"case {case}, {method}", xlabel="repeat, start", ylabel="Q10 [1], 90 % interval", ylim=(0.95, 3.2))
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
