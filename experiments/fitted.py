"""The posterior of an experiment with maps: of a file, or fitted to the towers first; and the regions of the catalog that it maps."""

from __future__ import annotations

import argparse
from pathlib import Path

from hybridflux.data.towers import open_towers
from hybridflux.inference import Ensemble, Posterior
from hybridflux.ingest.build import build_region
from hybridflux.model import compositions

SMOKE = {"members": 2, "steps": 20}


def arguments_of(doc: str, out: str) -> argparse.Namespace:
    """Arguments of an experiment that maps regions of `eo/`.

    Args:
        doc: description.
        out: folder of the results where none is named.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds eo/ and towers/")
    parser.add_argument("--model", default="hybrid_nirv", help="composition to fit, if no posterior is named; see `hybridflux fit --model`")
    parser.add_argument("--posterior", type=Path, help="file of `hybridflux fit`, in place of a fit of --model")
    parser.add_argument("--draws", type=int, default=64, help="draws of the posterior that are mapped; the time goes with them")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--smoke", action="store_true", help="few draws and steps, to see that it runs")
    arguments = parser.parse_args()
    return argparse.Namespace(**vars(arguments) | {"draws": 6 if arguments.smoke else arguments.draws})


def posterior_of(arguments: argparse.Namespace) -> Posterior:
    """The posterior that the arguments name; one that was fitted is kept in the folder of the results and read there the next time."""
    path = arguments.posterior or arguments.out / f"posterior-{Path(arguments.model).stem}.nc"
    if arguments.posterior is None and not path.exists():
        model = compositions.get(arguments.model)
        needs = model.needs_at_towers()
        sequences = open_towers(arguments.data / "towers", needs=needs, targets=model.targets(), screen=None).sequences(needs)
        method = Ensemble(**SMOKE) if arguments.smoke else Ensemble()
        path.parent.mkdir(parents=True, exist_ok=True)
        method.fit(model, sequences, seed=0).save(path)
    return Posterior.load(path)


def built(name: str, data: Path, out: Path) -> Path:
    """A region of the catalog, built into a folder, or gone on with there."""
    path = out / f"{name}.zarr"
    print(build_region(name, path, data=data, resume=path.with_suffix(".build").exists()))
    return path
