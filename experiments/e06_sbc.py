"""E06 - Are the samplers right? Simulation-based calibration on a small model with the weather of real towers.

The composition `static` (one value per plant type, site effects, bucket; whole-day and night NEE) with full weights of its likelihoods,
three towers, one year, every fifth day. Parameters are drawn from the prior, observations simulated, fits made, and the truth is ranked
among their draws. Uniform ranks mean that intervals hold what they promise *if the model is true*; nothing is said of real data.

Beside the methods of the package, numpyro's sampler in the coordinates of the model, all replications in one compiled loop, as a check of
the density itself. Both ensembles are calibrated a second time on the same model with a network for light use efficiency and Student-t
errors, as `hybrid_water` has them, and once more where the response of that network to VPD has a sign, as in `hybrid_signed`.
NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.

    python experiments/e06_sbc.py --data ../shared/data/towers --out runs/e06
    python experiments/e06_sbc.py --data ../shared/data/towers --out runs/e06_smoke --smoke

Blocks of replications that are done are not computed again. About 20 minutes on one idle core; `--smoke` about one.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.sbc import Sampler, SbcRanks, calibrate, ecdf_band, ecdf_difference, one_by_one, uniformity, vectorised_nuts
from hybridflux.inference import NUTS, SVI, Ensemble, LaplaceApproximation, RandomisedEnsemble
from hybridflux.model import Fixed, Neural, Pooled, StudentT, observe
from hybridflux.model.compositions import get
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.provenance import config_hash, provenance

SEED = 6
SITES = ("DE-Tha", "DK-Sor", "FR-Pue")
YEAR, EVERY = 2005, 5
DRAWS = 63
METHODS = {
    "NUTS": NUTS(),
    "LaplaceApproximation": LaplaceApproximation(),
    "SVI": SVI(),
    "Ensemble": Ensemble(members=DRAWS, steps=1000),
    "RandomisedEnsemble": RandomisedEnsemble(members=DRAWS),
    "SVI, short": SVI(steps=300, mode_steps=300),
}
DENSITY = "numpyro NUTS, vectorised"
NETWORKS = {", with a network": (), ", with a network that has a sign": ("vpd",)}
BLOCKS = {DENSITY: 4, "LaplaceApproximation": 12, "NUTS": 5, "SVI": 5, "Ensemble": 5, "RandomisedEnsemble": 12}
FULL = {
    "blocks": BLOCKS | {f"RandomisedEnsemble{network}": 12 for network in NETWORKS} | {f"Ensemble{network}": 3 for network in NETWORKS},
    "replications": {DENSITY: 32},
}
SMOKE = {"blocks": {"SVI, short": 1}, "replications": {"SVI, short": 3}}
USUAL = 8  # replications in a block


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e06"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, SMOKE if arguments.smoke else FULL)


def run(data: Path, out: Path, size: dict) -> None:
    """All blocks, the tables and the figure."""
    began = time.perf_counter()
    models = {"": small()} | {name: with_network(falling) for name, falling in NETWORKS.items()}
    needs = {name for model in models.values() for name in model.needs_at_towers()}
    sequences = thinned(open_towers(data, sites=list(SITES), years=YEAR, needs=needs).sequences(needs))
    (out / "blocks").mkdir(parents=True, exist_ok=True)
    found, seconds = {}, {}
    for name, blocks in size["blocks"].items():
        method, _, network = name.partition(", with")
        model = models[f", with{network}" if network else ""]
        replications, parts, spent = size["replications"].get(name, USUAL), [], 0.0
        for block in range(blocks):
            seed = SEED + 1000 * block
            settings = {"sampler": name, "method": repr(METHODS.get(method)), "replications": replications, "seed": seed, "draws": DRAWS,
                        "every": EVERY}  # fmt: skip
            file = out / "blocks" / f"{block}-{config_hash(settings)[:12]}.json"
            if not file.exists():
                start = time.perf_counter()
                ranks = calibrate(model, sequences, sampler(method), replications=replications, draws=DRAWS, seed=seed).ranks
                file.write_text(json.dumps({"ranks": ranks.to_dict("list"), "seconds": time.perf_counter() - start}))
            done = json.loads(file.read_text())
            parts.append(pd.DataFrame(done["ranks"]))
            spent += done["seconds"]
            print(f"{name}: block {block + 1} of {blocks}, {time.perf_counter() - began:.0f} s", flush=True)
        found[name] = SbcRanks(pd.concat(parts, ignore_index=True), DRAWS)
        seconds[name] = spent / len(found[name].ranks)
    tables = {name: uniformity(one) for name, one in found.items()}
    pd.concat([one.ranks.assign(sampler=name) for name, one in found.items()]).to_csv(out / "ranks.csv", index=False)
    pd.concat([table.assign(sampler=name) for name, table in tables.items()]).to_csv(out / "uniformity.csv", index=False)
    draw_figure(found, tables, out / "ranks.png")
    text = report(found, tables, seconds)
    (out / "results.md").write_text(text)
    (out / "run.json").write_text(json.dumps({**provenance({"size": size}, SEED), "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def sampler(name: str) -> Sampler:
    """The sampler of a name."""
    return vectorised_nuts(warmup=400, draws=DRAWS, thin=4, depth=7) if name == DENSITY else one_by_one(METHODS[name])


def small() -> HybridFlux:
    """The composition `static` with a likelihood that is the law of its observations."""
    static = get("static")
    observed = (observe.nee(), observe.nee_night())
    return HybridFlux(gpp=static.gpp, reco=static.reco, memory=static.memory, sources=static.sources, observed=observed)


def with_network(falling: tuple[str, ...]) -> HybridFlux:
    """The same with a network for light use efficiency, and errors as the compositions for real towers have them."""
    model = small()
    network = Neural("plant_type", "vpd", "tair", "fapar", width=4, falling=falling)
    observed = [make(StudentT(tail=Fixed(30.0))) for make in (observe.nee, observe.nee_night)]
    sources = {**model.sources, "light_use_efficiency": Pooled(network)}
    return HybridFlux(gpp=model.gpp, reco=model.reco, memory=model.memory, sources=sources, observed=observed)


def thinned(sequences: Sequences) -> Sequences:
    """Targets on every fifth day only."""
    kept = (np.arange(len(sequences.days)) % EVERY == 0)[:, None]
    targets = {name: np.where(kept, values, np.nan) for name, values in sequences.targets.items()}
    return replace(sequences, targets=targets)


def report(found: dict[str, SbcRanks], tables: dict[str, pd.DataFrame], seconds: dict[str, float]) -> str:
    """The results as a Markdown page."""
    lines = [
        "# E06: simulation-based calibration",
        "",
        f"Composition `static`, weights 1, towers {', '.join(SITES)}, {YEAR}, every {EVERY}th day; truth ranked among {DRAWS} draws.",
        f"Command: `python experiments/e06_sbc.py --data TOWERS --out runs/e06`, seed {SEED}. Seconds on a busy machine.",
        "",
        "`spread`: variance of the ranks over that of uniform ones (above 1: intervals too narrow); `bias`: mean rank as a share of the",
        "draws less 0.5 (positive: draws too low). The two p are of chi-square and of the empirical distribution, against simulated",
        "uniform ranks; the verdict is at 1 % over all quantities and both tests.",
        "",
        "| sampler | replications | seconds each | quantities | uniform | smallest p | mean spread |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, table in tables.items():
        least = table[["chi2_p", "ecdf_p"]].to_numpy().min()
        lines.append(
            f"| {name} | {len(found[name].ranks)} | {seconds[name]:.1f} | {len(table)} | {int((table.verdict == 'uniform').sum())} "
            f"| {least:.4f} | {table.spread.mean():.2f} |"
        )
    for name, table in tables.items():
        lines += [
            "",
            f"## {name}",
            "",
            "| quantity | p chi-square | p distribution | bias | spread | verdict |",
            "|---|---|---|---|---|---|",
        ]
        for row in table.itertuples():
            lines.append(f"| {row.quantity} | {row.chi2_p:.3f} | {row.ecdf_p:.3f} | {row.bias:+.3f} | {row.spread:.2f} | {row.verdict} |")
    return "\n".join(lines) + "\n"


def draw_figure(found: dict[str, SbcRanks], tables: dict[str, pd.DataFrame], path: Path) -> None:
    """A panel per quantity: empirical distribution of the ranks less the uniform one, one line a sampler, with the band of the fewest."""
    quantities = list(next(iter(found.values())).ranks)
    columns = 4
    rows = -(-len(quantities) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    fewest = min(len(one.ranks) for one in found.values())
    at, half = ecdf_band(fewest, DRAWS)
    for axis in axes.ravel()[len(quantities) :]:
        axis.set_visible(False)
    for quantity, axis in zip(quantities, axes.ravel(), strict=False):
        axis.fill_between(at, -half, half, color="0.88", label=f"95 % of uniform, {fewest} replications")
        for name, one in found.items():
            failed = tables[name].set_index("quantity").verdict[quantity] != "uniform"
            axis.plot(at, ecdf_difference(one.ranks[quantity].to_numpy(), DRAWS), lw=1.6 if failed else 0.9, label=name)
        axis.set_title(quantity, fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("rank of the truth / draws")
    axes[0, 0].set_ylabel("ECDF - uniform")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(found) + 1, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
