"""Training epochs per second of a hybrid model beside torch: the same physics, networks, loss and minibatches on ten real towers.

The two take turns; the torch model is written in plain eager torch and its loss is compared with ours at the same weights first.

    python benchmarks/bench_training.py [--towers FOLDER] [--epochs 60] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import present
from bench_inference import SITES, YEARS, load

from hybridflux.machine import prepare

INPUTS = ("tair_7d", "tair_30d", "par_30d", "vpd_30d", "fapar", "fapar_30d", "tair", "par", "vpd")
SHARED = ("light_saturation", "vpd_sensitivity", "respiration_gpp_share", "activation_temp")
RATE = 0.01


def main() -> None:
    """Print a row per size of the minibatches."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(os.environ.get("HYBRIDFLUX_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    arguments.add_argument("--towers", type=Path, default=here / "data" / "towers")
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    prepare()
    if not present.package("torch", "training beside torch"):
        return
    import torch

    if not chosen.towers.is_dir():
        print(f"no towers at {chosen.towers}: nothing to train on; name a folder with --towers")
        return
    torch.set_num_threads(1)  # arrays are small: more threads wait for each other
    model, data = problem(chosen.towers)
    weights, loss = torch_model(model, data)
    rows = data.targets["nee"].size
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, load {load():.1f}, {rows} days, median of {chosen.rounds}")
    print(f"loss at the same weights: {ours_at_start(model, data):.6f} here, {float(loss(torch.arange(rows))):.6f} in torch")
    print(f"{'days in a minibatch':>20s} {'epochs/s here':>14s} {'in torch':>10s} {'ratio':>6s}")
    for size in (512, 2048, rows):
        rates = [(ours(model, data, size, chosen.epochs), theirs(weights, loss, rows, size, chosen.epochs)) for _ in range(chosen.rounds)]
        here, there = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"{size:20d} {here:14.1f} {there:10.1f} {here / there:6.1f}", flush=True)


def problem(towers: Path):
    """A hybrid of two networks and four shared parameters, and the days of the towers."""
    from hybridflux.data.towers import open_towers
    from hybridflux.inference.batch import days
    from hybridflux.model import HybridFlux, Neural, Shared
    from hybridflux.process import light, respiration, stress

    model = HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.vpd_exponential),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor),
        sources={
            "light_use_efficiency": Neural(*INPUTS, width=16),
            "respiration_ref": Neural(*INPUTS, width=16, seed=1),
            **{name: Shared() for name in SHARED},
        },
    )
    sequences = open_towers(towers, sites=SITES, years=YEARS, vegetation="modis_fpar_c5_8day").sequences(model.needs_at_towers())
    return model, days(model, sequences)


def ours_at_start(model, data) -> float:
    """Mean negative log likelihood of a day at the weights the model was composed with."""
    from hybridflux.inference.joint import log_likelihood

    return -float(log_likelihood(model, data)) / data.targets["nee"].size


def ours(model, data, size: int, epochs: int) -> float:
    """Epochs per second of `descend` (shuffling included, compiling not)."""
    import jax

    from hybridflux.inference.methods.adam import descend
    from hybridflux.model.learned import learned

    leaves = {name: leaf[None] for name, leaf in learned(model).items()}
    times = []
    steps = epochs * max(1, data.targets["nee"].size // size)
    descend(
        model, data, leaves, jax.tree.map(jax.numpy.zeros_like, leaves), steps=steps, size=size, rate=RATE, seed=0,
        progress=lambda done, total, message: times.append((done, time.perf_counter())),
    )  # fmt: skip
    (first, began), (last, ended) = times[2], times[-1]
    return (last - first) / (ended - began)


def torch_model(model, data):
    """The same model in eager torch: its weights and the mean loss of some days with the pull of the prior."""
    import torch

    from hybridflux.model.learned import learned
    from hybridflux.model.sources import to_raw
    from hybridflux.process.respiration import REFERENCE, STANDSTILL
    from hybridflux.vocabulary import PARAMETERS

    tensor = lambda values: torch.tensor(np.array(values, np.float32))  # noqa: E731
    weights = {name: tensor(leaf).requires_grad_() for name, leaf in learned(model).items()}
    drivers = {name: tensor(data.names[name]) for name in ("fapar", "par", "vpd", "tair")}
    observed, known = tensor(data.targets["nee"]), tensor(data.known["nee"])
    features = tensor(model.sources["light_use_efficiency"].features(data.names))

    def value(row, raw):
        return row.lower + (row.upper - row.lower) * torch.sigmoid(float(to_raw(row.typical, row)) + row.prior_sd * raw)

    def network(name, inputs):
        w1, b1, w2 = (weights[f"sources.{name}.z.{part}"] for part in ("w1", "b1", "w2"))
        return value(PARAMETERS[name], torch.tanh(inputs @ (w1 / len(INPUTS) ** 0.5) + b1) @ w2 / len(w2) ** 0.5)

    def loss(rows):
        fapar, par, vpd, tair = (drivers[name][rows] for name in ("fapar", "par", "vpd", "tair"))
        inputs = features[rows]
        saturation, sensitivity, share, activation = (value(PARAMETERS[name], weights[f"sources.{name}.z"]) for name in SHARED)
        light = fapar * par
        gpp = network("light_use_efficiency", inputs) * light / (1 + saturation * light) * torch.exp(-sensitivity * vpd)
        response = torch.exp(activation * (1 / (REFERENCE - STANDSTILL) - 1 / (tair - STANDSTILL)))
        nee = (network("respiration_ref", inputs) + share * gpp) * response - gpp
        floor, slope = (value(PARAMETERS[name], weights[f"observed.nee.error.sources.{name}.z"]) for name in ("noise_floor", "noise_slope"))
        scale = torch.sqrt(known[rows] ** 2 + (floor + slope * nee.abs()) ** 2)
        return ((observed[rows] - nee).abs() / scale + torch.log(2 * scale)).mean()

    return weights, loss


def theirs(weights, loss, days: int, size: int, epochs: int) -> float:
    """Epochs per second of torch, shuffling included."""
    import torch

    optimiser = torch.optim.Adam(weights.values(), lr=RATE)
    random = np.random.default_rng(0)
    count = 3 + epochs
    for epoch in range(count):
        if epoch == 3:
            began = time.perf_counter()
        order = torch.from_numpy(random.permutation(days))
        for at in range(0, days // size * size, size):
            optimiser.zero_grad()
            pull = sum((leaf**2).sum() for leaf in weights.values())
            (loss(order[at : at + size]) + 0.5 * pull / days).backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 10.0)
            optimiser.step()
    return epochs / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
