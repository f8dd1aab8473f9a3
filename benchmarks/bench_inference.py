"""How fast the posterior of ten real towers is had: NUTS beside numpyro's own and nutpie, approximations, epochs beside torch.

Model `static` (site effects, bucket), ten European towers x 2004-2006, one run, two chains each (`--chains`: of ours). Every sampler gets
the same density and starts at the mode. Effective draws count per gradient, warm-up included, which does not depend on what else the
machine does; the wall clock does, and seconds of the processor less so. nutpie and torch are left out, with a line that says so, where
they are not installed.

`--europe` fits another problem alone: an ensemble of `hybrid_nirv` with learned water to all European towers with reflectance.

    python benchmarks/bench_inference.py [--towers FOLDER] [--peer-draws 200] [--learned-memory] [--europe]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from hybridflux.machine import prepare

SITES = ("DE-Tha", "DE-Geb", "IT-MBo", "FI-Hyy", "IT-Ro1", "IT-Lav", "DK-Sor", "FR-Pue", "CH-Oe1", "FR-Gri")
YEARS = (2004, 2006)
CHAINS = 2


def main() -> None:
    """Run everything and print tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(os.environ.get("HYBRIDFLUX_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    arguments.add_argument("--towers", type=Path, default=here / "data" / "towers")
    arguments.add_argument("--peer-draws", type=int, default=200, help="draws and warm-up of the samplers compared with; 0 leaves them out")
    arguments.add_argument("--chains", type=int, default=CHAINS, help="of hybridflux NUTS; a GPU wants hundreds")
    arguments.add_argument("--draws", type=int, default=300, help="of each of these chains")
    arguments.add_argument("--learned-memory", action="store_true", help="learn the capacity of the bucket: gradients through the scan")
    arguments.add_argument("--europe", action="store_true", help="only fit an ensemble with learned water to all towers")
    chosen = arguments.parse_args()
    prepare()
    if not chosen.towers.is_dir():
        print(f"no towers at {chosen.towers}: nothing to measure; name a folder with --towers")
        return
    if chosen.europe:
        europe(chosen.towers)
        return
    model, sequences = problem(chosen.towers, chosen.learned_memory)
    began = load()
    print(f"{os.cpu_count()} cores, load {began:.1f} before us")
    exact = samplers(model, sequences, chosen.peer_draws, chosen.chains, chosen.draws)
    approximations(model, sequences, exact)
    print(f"load at the end {load():.1f}")


def load() -> float:
    """Processes that wanted a core in the last minute."""
    return os.getloadavg()[0]


def problem(towers: Path, learned_memory: bool):
    """The model and the sequences of the ten towers; soil capacity is not in tower tables: 300 mm, or learned."""
    from hybridflux.data.towers import open_towers
    from hybridflux.model import Fixed, HybridFlux, Shared, compositions

    base = compositions.get("static")
    sources = {**base.sources, "root_zone_capacity": Shared() if learned_memory else Fixed(300.0)}
    model = HybridFlux(gpp=base.gpp, reco=base.reco, memory=base.memory, observed=base.observed.values(), sources=sources)
    opened = open_towers(towers, sites=SITES, years=YEARS, vegetation="modis_fpar_c5_8day")
    return model, opened.sequences(model.needs_at_towers())


def europe(towers: Path) -> None:
    """Print the seconds of an ensemble of 8, 700 updates, whose bucket is learned: a capacity a tower, evaporation and its limit."""
    from hybridflux.data.towers import open_towers
    from hybridflux.inference import Ensemble
    from hybridflux.model import HybridFlux, Pooled, Shared, compositions

    base = compositions.get("hybrid_nirv")
    water = {"root_zone_capacity": Pooled(Shared()), "evaporation_scalar": Shared(), "rew_evaporation": Shared()}
    model = HybridFlux(gpp=base.gpp, reco=base.reco, memory=base.memory, observed=base.observed.values(), sources={**base.sources, **water})
    sequences = open_towers(towers, needs=model.needs_at_towers(), screen=None).sequences(model.needs_at_towers())
    before, used = load(), time.process_time()
    info = Ensemble(members=8, steps=700).fit(model, sequences, seed=0).info
    print(
        f"{len(sequences.places)} towers, {sum(info['observed_days'].values())} values, warm-up {info['warm_up_days']} days: "
        f"{info['seconds']:.0f} s, {time.process_time() - used:.0f} s of processor, load {before:.1f} to {load():.1f}"
    )


def samplers(model, sequences, peer_draws: int, chains: int, draws: int):
    """Print one row per sampler; the leaves of ours `[chain, draw, ...]`, both runs together."""
    import jax

    from hybridflux.inference import NUTS

    heads = f"{'s':>7s} {'of processor':>13s} {'ESS/s of it':>12s} {'R-hat':>6s}"
    print(f"\n{'sampler':44s} {'min ESS':>8s} {'gradients':>10s} {'ESS/1000 gradients':>19s} {heads}")
    ours, sampler = [], NUTS(chains=chains, draws=draws)
    for seed, order in enumerate(("first in the process", "second")):
        began, used = time.perf_counter(), time.process_time()
        ours.append(sampler.fit(model, sequences, seed=seed))
        spent = time.perf_counter() - began, time.process_time() - used
        measured(f"hybridflux NUTS, whole fit, {order}", ours[-1].info["diagnostics"], *spent)
    placed, data = ready(model, sequences)
    began, used = time.perf_counter(), time.process_time()
    drawn = sampler.draw(placed, data, jax.random.key(seed), lambda done, total, message: None)
    measured("its draws alone, without errors of structure", drawn.diagnostics, time.perf_counter() - began, time.process_time() - used)
    exact = stacked(ours, chains)
    if peer_draws:
        peers(placed, data, peer_draws, exact)
    return exact


def ready(model, sequences):
    """The model with its places, and the data of its likelihood."""
    from hybridflux.inference.batch import Indices, batch
    from hybridflux.model.learned import with_places

    placed = with_places(model, Indices.of(sequences).sizes())
    return placed, batch(placed, sequences)


def measured(name: str, diagnostics: dict, seconds: float, used: float) -> None:
    """Print the row of a sampler of ours."""
    row(name, diagnostics["ess_min"], diagnostics["gradients"], seconds, used, diagnostics["r_hat_max"])


def peers(placed, data, draws: int, exact) -> None:
    """Print a row for each other sampler, and how far it is from ours."""
    from hybridflux.inference.methods.mode import climb
    from hybridflux.model.learned import learned

    mode, _ = climb(placed, data, learned(placed), steps=1000, progress=lambda done, total, message: None)
    others = {"numpyro NUTS, its defaults, from the mode": numpyro_default, "nutpie, its defaults, from the mode": nutpie_default}
    for name, sample in others.items():
        used = time.process_time()
        try:
            leaves, gradients, seconds = sample(placed, data, mode, draws)
        except ImportError as error:
            print(f"{name:44s} left out: {error}")
            continue
        fewest, r_hat = worst(leaves)
        row(name, fewest, gradients, seconds, time.process_time() - used, r_hat)
        agreement(leaves, exact)


def row(name: str, ess: float, gradients: int, seconds: float, used: float, r_hat: float) -> None:
    """Print a line of the table; `used` are seconds of the processor."""
    rate = 1000 * ess / gradients
    print(f"{name:44s} {ess:8.0f} {gradients:10d} {rate:19.2f} {seconds:7.1f} {used:13.1f} {ess / used:12.1f} {r_hat:6.3f}", flush=True)


def worst(leaves) -> tuple[float, float]:
    """Smallest effective sample size and largest split R-hat; leaves `[chain, draw, ...]`."""
    from numpyro.diagnostics import summary

    table = summary(leaves, group_by_chain=True)
    return min(float(np.min(one["n_eff"])) for one in table.values()), max(float(np.max(one["r_hat"])) for one in table.values())


def stacked(posteriors, chains: int) -> dict[str, np.ndarray]:
    """The leaves of several posteriors as `[chain, draw, ...]`."""
    from hybridflux.model.learned import learned

    split = lambda leaf: np.asarray(leaf).reshape(chains, -1, *leaf.shape[1:])  # noqa: E731
    parts = [{name: split(leaf) for name, leaf in learned(one.model).items()} for one in posteriors]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def agreement(leaves, exact) -> None:
    """Print how far the draws of two samplers differ, in units of their Monte Carlo errors."""
    from numpyro.diagnostics import effective_sample_size

    shifts, ratios = [], []
    for name in exact:
        one, other = (np.asarray(draws, float).reshape(*np.shape(draws)[:2], -1) for draws in (leaves[name], exact[name]))
        error = np.sqrt(sum(x.var((0, 1)) / np.minimum(effective_sample_size(x), x.shape[0] * x.shape[1]) for x in (one, other)))
        shifts.append((one.mean((0, 1)) - other.mean((0, 1))) / error)
        ratios.append(one.std((0, 1)) / other.std((0, 1)))
    shift, ratio = np.concatenate(shifts), np.concatenate(ratios)
    print(
        f"    ours differs by {np.sqrt(np.mean(shift**2)):.2f} Monte Carlo errors of the mean (root mean square of {shift.size}; "
        f"largest {np.abs(shift).max():.1f}); ratio of sds {ratio.min():.2f} to {ratio.max():.2f}, median {np.median(ratio):.2f}"
    )


def numpyro_default(model, data, mode, draws: int):
    """The sampler as numpyro ships it, in the coordinates of the model; leaves `[chain, draw, ...]`, gradients, seconds."""
    import jax
    from numpyro.infer import MCMC
    from numpyro.infer import NUTS as Kernel

    from hybridflux.inference.joint import log_likelihood, log_prior
    from hybridflux.model.learned import with_learned

    def potential(leaves):
        one = with_learned(model, leaves)
        return -(log_likelihood(one, data) + log_prior(one))

    first = {name: np.repeat(np.asarray(leaf)[None], CHAINS, 0) for name, leaf in mode.items()}
    sampler = MCMC(
        Kernel(potential_fn=potential), num_warmup=draws, num_samples=draws, num_chains=CHAINS, chain_method="parallel", progress_bar=False
    )
    began = time.perf_counter()
    sampler.warmup(jax.random.key(1), init_params=first, collect_warmup=True, extra_fields=("num_steps",))
    gradients = int(np.asarray(sampler.get_extra_fields()["num_steps"]).sum())
    sampler.run(sampler.post_warmup_state.rng_key, extra_fields=("num_steps",))
    gradients += int(np.asarray(sampler.get_extra_fields()["num_steps"]).sum())
    leaves = {name: np.asarray(values) for name, values in sampler.get_samples(group_by_chain=True).items()}
    return leaves, gradients, time.perf_counter() - began


def nutpie_default(model, data, mode, draws: int):
    """The sampler of PyMC's Rust engine with its defaults on our compiled gradient; as `numpyro_default`."""
    import jax
    import nutpie
    from jax.flatten_util import ravel_pytree

    from hybridflux.inference.joint import log_likelihood, log_prior
    from hybridflux.model.learned import with_learned

    flat, unravel = ravel_pytree(mode)
    size, calls = flat.size, [0]

    @jax.jit
    def density(vector):
        def log_density(vector):
            one = with_learned(model, unravel(vector))
            return log_likelihood(one, data) + log_prior(one)

        return jax.value_and_grad(log_density)(vector)

    def make_density():
        def log_density(vector):
            calls[0] += 1
            value, slope = density(np.asarray(vector, np.float32))
            return float(value), np.asarray(slope, np.float64)

        return log_density

    compiled = nutpie.compiled_pyfunc.from_pyfunc(
        size, make_density, lambda *ignored: lambda vector: {"leaves": np.asarray(vector)}, [np.dtype("float64")], [(size,)], ["leaves"],
        make_initial_point_fn=lambda seed: np.asarray(flat) + 0.1 * np.random.default_rng(seed).normal(size=size),
    )  # fmt: skip
    density(flat)
    began = time.perf_counter()
    trace = nutpie.sample(compiled, draws=draws, tune=draws, chains=CHAINS, cores=CHAINS, progress_bar=False, seed=1)
    seconds = time.perf_counter() - began
    points = np.asarray(trace.posterior["leaves"])
    leaves = {name: np.asarray(values) for name, values in jax.vmap(jax.vmap(unravel))(points.astype(np.float32)).items()}
    return leaves, calls[0], seconds


def approximations(model, sequences, exact) -> None:
    """Print means and standard deviations of the cheap posteriors beside the sampler's."""
    from hybridflux.inference import SVI, Ensemble, LaplaceApproximation
    from hybridflux.model.learned import learned

    methods = {
        "Laplace, information at the mode": LaplaceApproximation(draws=1000, rounds=0),
        "Laplace, sharpened": LaplaceApproximation(draws=1000),
        "SVI": SVI(draws=1000),
        "Ensemble of 8": Ensemble(members=8, steps=600),
    }
    heads = f"{'|mean shift| / sd: median':>26s} {'largest':>8s} {'sd ratio: least':>16s} {'median':>7s} {'most':>6s} {'s':>6s}"
    print(f"\n{'beside NUTS':36s} {heads}")
    for name, method in methods.items():
        posterior = method.fit(model, sequences, seed=5)
        approximate = learned(posterior.model)
        flat = lambda leaves, lead: np.concatenate([np.asarray(leaves[n]).reshape(lead, -1) for n in sorted(exact)], 1)  # noqa: E731
        one, other = flat(approximate, posterior.draws), flat(exact, np.prod(next(iter(exact.values())).shape[:2]))
        shift, ratio = np.abs(one.mean(0) - other.mean(0)) / other.std(0), one.std(0) / other.std(0)
        print(
            f"{name:36s} {np.median(shift):26.2f} {shift.max():8.2f} {ratio.min():16.2f} {np.median(ratio):7.2f} {ratio.max():6.2f} "
            f"{posterior.info['seconds']:6.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
