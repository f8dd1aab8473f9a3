"""What users get wrong, command by command: exit code 2, one line that names what is wrong and a cure, and nothing written."""

import re
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.cli import main
from hybridflux.data.catalog import REGIONS, catalog_folder
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model import compositions
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.map import map_region
from hybridflux.twin.world import make_world

pytestmark = pytest.mark.long

HEADER = "zone,land_cover,pool,start_year,end_year,value,sd"
NOISE = np.random.default_rng(0).integers(128, 256, 3000, dtype=np.uint8).tobytes()
CONFIG = catalog_folder() / REGIONS / "bouconne.toml"


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A small world with a posterior that was not fitted and a run, beside things that are something else."""
    from hybridflux.data.towers import open_towers

    here = tmp_path_factory.mktemp("mistakes")
    world = make_world(here / "world", size=16, days=365, towers=3, seed=2)
    model = compositions.get("static")
    indices = Indices.of(open_towers(world.towers).sequences(model.needs_at_towers()))
    leaves = learned(with_places(model, indices.sizes()))
    model = with_learned(model, {name: np.zeros((2, *leaf.shape), np.float32) for name, leaf in leaves.items()})
    posterior = Posterior(model, indices)
    posterior.save(here / "posterior.nc")
    map_region(posterior, world.region, here / "run", draws=2, period=Period("2022-05-01", "2022-05-31"))
    for name in ("run.json", "totals.nc"):
        shutil.copytree(here / "run", here / f"bad-{name}")
    (here / "bad-run.json" / "run.json").write_text('{"state": ')
    (here / "bad-totals.nc" / "totals.nc").write_bytes(NOISE)
    (here / "note.txt").write_text("mine")
    (here / "folder").mkdir()
    (here / "folder" / "note.txt").write_text("mine")
    for name in ("noise.nc", "noise.csv", "noise.toml", "noise.tif"):
        (here / name).write_bytes(NOISE)
    for name, text in {"empty": "", "header": HEADER, "pools": f"{HEADER}\nregion,all,wood,2022,2022,1,1"}.items():
        (here / f"{name}.csv").write_text(text)
    (here / "broken.py").write_text("model = (\n")
    (here / "broken.json").write_text('{"gpp": 1}')
    (here / "mars.csv").write_text("zone,group\nMars,a\n")
    xr.Dataset({"a": 1.0}).to_netcdf(here / "other.nc", engine="h5netcdf")
    text = CONFIG.read_text()
    (here / "syntax.toml").write_text(text + "\n[[[x\n")
    (here / "crs.toml").write_text(re.sub(r'crs = ".*?"', 'crs = "ESPG:32631"', text))
    (here / "field.toml").write_text(text.replace("[grid]", "[grid]\npixels = 3", 1))
    return here


@pytest.fixture
def run(monkeypatch, capsys, here):
    """Run a command in this process in the folder of the world; gives exit code and stderr."""
    monkeypatch.setattr("hybridflux.cli.prepare", lambda: None)
    monkeypatch.setattr("warnings.formatwarning", warnings.formatwarning)
    monkeypatch.chdir(here)

    def call(command: str):
        monkeypatch.setattr(sys, "argv", ["hybridflux", *command.split()])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        call.out, err = capsys.readouterr()
        return code, err

    return call


EVALUATE = "evaluate --posterior posterior.nc --towers world/towers"
MAP = "map --posterior posterior.nc --region world/region.zarr --draws 2"
SCENARIO = "scenario --posterior posterior.nc --region world/region.zarr --draws 2 --change rain=*0.5"
BUDGET = "budget --run run --out new.csv"
MISTAKES = {
    # what cannot be written
    f"{EVALUATE} --out folder": ("folder is a folder", "name a file"),
    f"{EVALUATE} --out note.txt": ("note.txt exists", "--overwrite"),
    f"{EVALUATE} --out note.txt/scores.csv": ("note.txt is a file", "name another place"),
    "evaluate --leave-site-out 2 --towers world/towers --out note.txt": ("note.txt exists", "--overwrite"),
    "fit --towers world/towers --out note.txt": ("note.txt exists", "--overwrite"),
    "fit --towers world/towers --out folder": ("folder is a folder", "name a file"),
    "budget --run run --out note.txt": ("note.txt exists", "--overwrite"),
    "budget --run run --out folder": ("folder is a folder", "name a file"),
    "report --run run --out folder": ("folder is a folder", "name a file"),
    "report --run run --out note.txt": ("note.txt exists", "--overwrite"),
    "region check world/region.zarr --figure note.txt": ("note.txt exists", "--overwrite"),
    "region check world/region.zarr --figure new.xyz": ("new.xyz", ".png"),
    f"{MAP} --out note.txt": ("note.txt is a file", "name another place"),
    f"{MAP} --out note.txt/run": ("note.txt is a file", "name another place"),
    f"{MAP} --out folder": ("folder is not empty", "give another folder"),
    f"{SCENARIO} --out note.txt": ("note.txt is a file", "name another place"),
    f"{SCENARIO} --out folder": ("folder is not empty", "give another folder"),
    "region build bouconne --out note.txt": ("note.txt is a file", "name another place"),
    "region build bouconne --dry-run --out note.txt": ("note.txt is a file", "name another place"),
    "demo --out note.txt": ("note.txt is a file", "name another place"),
    "demo --out folder": ("folder is not empty", "name another"),
    # posteriors, regions and runs that are something else
    "evaluate --posterior other.nc --towers world/towers --out new.csv": ("other.nc", "hybridflux fit"),
    "evaluate --posterior noise.nc --towers world/towers --out new.csv": ("noise.nc", "hybridflux fit"),
    "evaluate --posterior run/totals.nc --towers world/towers --out new.csv": ("totals.nc", "hybridflux fit"),
    "evaluate --posterior world/region.zarr --towers world/towers --out new.csv": ("region.zarr is a folder", "hybridflux fit"),
    "map --posterior posterior.nc --region folder --out new": ("folder is not a region", "hybridflux region build"),
    "map --posterior posterior.nc --region note.txt --out new": ("note.txt is not a region", "hybridflux region build"),
    "region check folder": ("folder is not a region", "hybridflux region build"),
    "budget --run folder --out new.csv": ("folder is not a run", "hybridflux map"),
    "budget --run note.txt --out new.csv": ("note.txt is not a run", "hybridflux map"),
    "budget --run bad-run.json --out new.csv": ("run.json is damaged", "hybridflux map"),
    "budget --run bad-totals.nc --out new.csv": ("is not the file that the run wrote", "map --run"),
    "report --run folder --out new.html": ("folder is not a run", "hybridflux map"),
    "report --run run --scenario folder --out new.html": ("scenario.json", "hybridflux scenario"),
    "report --posterior posterior.nc --out new.html": ("--posterior FILE --towers FOLDER", "name one"),
    "report --posterior posterior.nc --towers world/towers --inventory mars.csv --out new.html": ("--inventory", "--run"),
    "info noise.nc": ("noise.nc cannot be read", "damaged"),
    "info noise.tif": ("noise.tif cannot be read", "damaged"),
    "info noise.csv": ("noise.csv carries no provenance", "noise.csv-metadata.json"),
    "info bad-run.json": ("run.json is damaged", "record of hybridflux"),
    # tables
    f"{BUDGET} --inventory empty.csv": ("empty.csv is empty", "header"),
    f"{BUDGET} --inventory header.csv": ("header.csv has no rows", "add one"),
    f"{BUDGET} --inventory pools.csv": ("pools.csv", "biomass"),
    f"{BUDGET} --inventory noise.csv": ("noise.csv", "column"),
    f"{BUDGET} --inventory folder": ("folder", "table"),
    f"{BUDGET} --inventory run/totals.nc": ("totals.nc", "not a text table"),
    f"{BUDGET} --zones mars.csv": ("Mars", "Val-Joyeux"),
    f"{BUDGET} --zones empty.csv": ("empty.csv is empty", "header"),
    f"{BUDGET} --zones run/totals.nc": ("totals.nc is not a CSV", "zone,group"),
    # days, years, sites, steps, draws
    f"{MAP} --out new --start 01/06/2018": ("start `01/06/2018`", "YYYY-MM-DD"),
    f"{MAP} --out new --start 2022-05-01 --end 2022": ("end `2022`", "YYYY-MM-DD"),
    f"{MAP} --out new --end 2022-02-30": ("end `2022-02-30`", "YYYY-MM-DD"),
    f"{MAP} --out new --start 1999-01-01": ("1999-01-01 to 2022-12-31", "2021-01-01 to 2022-12-31"),
    "map --run bad-run.json": ("run.json is damaged", "hybridflux map"),
    f"{SCENARIO} --out new --start June": ("start `June`", "YYYY-MM-DD"),
    f"{EVALUATE} --out new.csv --years 2010:2001": ("2010:2001", "first year first"),
    f"{EVALUATE} --out new.csv --years recent": ("recent", "2001:2010"),
    f"{EVALUATE} --out new.csv --sites XX-Foo": ("XX-Foo", "There are XX-"),
    f"{EVALUATE} --out new.csv --step month,yaer": ("`yaer` is not a step", "`year`"),
    f"{EVALUATE} --out new.csv --model static": ("--model", "--leave-site-out"),
    f"{EVALUATE} --out new.csv --set steps=3": ("--set belong", "a posterior is fitted already"),
    f"{EVALUATE} --out new.csv --method mapp": ("--method and", "a posterior is fitted already"),
    "evaluate --towers world/towers --out new.csv": ("--posterior FILE", "--leave-site-out"),
    "evaluate --leave-site-out 50 --towers world/towers --out new.csv": ("50 folds of 3 sites", "2 to 3"),
    "evaluate --posterior posterior.nc --towers folder --out new.csv": ("sites.csv is missing", "columns"),
    # models
    "evaluate --leave-site-out 2 --towers world/towers --model broken.py --out new.csv": ("broken.py, line 1", "sets `model`"),
    "evaluate --leave-site-out 2 --towers world/towers --model broken.json --out new.csv": ("broken.json does not", "reads version"),
    "evaluate --leave-site-out 2 --towers world/towers --model noise.nc --out new.csv": ("noise.nc", ".py"),
    "evaluate --leave-site-out 2 --method map --set stepz=3 --towers world/towers --out new.csv": ("stepz", "steps"),
    # configurations
    "region build syntax.toml --out new.zarr": ("syntax.toml is not TOML", "line"),
    "region build noise.toml --out new.zarr": ("noise.toml is not text", "UTF-8"),
    "region build folder --out new.zarr": ("folder is a folder", "TOML"),
    "region build toulose --out new.zarr": ("toulose", "`toulouse`"),
    "region build bouconne --out new.zarr": ("bouconne", "--data FOLDER"),
    "catalog nonesuch": ("nonesuch", "hybridflux catalog"),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_with_what_is_wrong_and_a_cure(run, here, command):
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    code, said = run(command)
    wrong, cure = MISTAKES[command]
    error = said[said.index("error:") :]
    assert code == 2 and error.strip().count("\n") == 0, said
    assert wrong in error and cure in error and len(error) < 600
    after = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    assert after == before and not any(here.glob("new*"))


LISTS = {
    "region build field.toml --out new.zarr": "pixels",
    "region build crs.toml --out new.zarr": "`ESPG:32631` is unknown; write a code such as EPSG:32631",
    "map --posterior posterior.nc --region run/fluxes.zarr --out new": "spatial_ref",
}


@pytest.mark.parametrize("command", LISTS)
def test_several_faults_of_a_file_are_a_list_below_its_name(run, command):
    code, said = run(command)
    assert code == 2 and LISTS[command] in said and "Traceback" not in said
    assert command.split()[2 if "build" in command else 4] in said.splitlines()[0]


def test_paths_that_are_not_there_are_named_by_their_option(run):
    for command in (f"{EVALUATE[:-6]}nowhere --out new.csv", "region build bouconne --data nowhere --out new.zarr"):
        code, said = run(command)
        assert code == 2 and "nowhere" in said and "does not exist" in said


def test_new_folders_are_made_and_files_replaced_on_request(run, here):
    assert run("budget --run run --out made/by/us/budget.csv")[0] == 0
    first = (here / "made/by/us/budget.csv").read_text()
    (here / "made/by/us/budget.csv").write_text("old")
    assert run("budget --run run --out made/by/us/budget.csv")[0] == 2 and (here / "made/by/us/budget.csv").read_text() == "old"
    assert run("budget --run run --out made/by/us/budget.csv --overwrite")[0] == 0
    assert (here / "made/by/us/budget.csv").read_text() == first
    assert sorted(path.name for path in (here / "made/by/us").iterdir()) == ["budget.csv", "budget.csv-metadata.json"]
    shutil.rmtree(here / "made")


def test_more_draws_than_the_posterior_has_are_drawn_in_turn(run, here):
    code, said = run(f"{MAP} --draws 5 --start 2022-05-01 --end 2022-05-02 --out more")
    assert code == 0, said
    shutil.rmtree(here / "more")


@pytest.mark.parametrize(("package", "said"), [("pyogrio", "parcels.gpkg"), ("pyarrow", "parcels.parquet")])
def test_a_missing_package_names_its_extra(run, here, monkeypatch, package, said):
    from odc.geo.geobox import GeoBox

    from hybridflux.data.land.vectors import read_features

    (here / said).write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    grid = GeoBox.from_bbox((0, 0, 10, 10), crs="EPSG:2154", resolution=10)
    monkeypatch.setattr("hybridflux.ingest.build.plan_region", lambda config, out, **options: read_features(here / said, grid))
    code, err = run("region build bouconne --dry-run --out new.zarr")
    assert code == 2 and said in err and "pip install 'hybridflux[ingest]'" in err and err.count("\n") == 1
    (here / said).unlink()


def test_what_the_system_refuses_is_one_line(run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    code, err = run("budget --run run --out new.csv")
    assert code == 2 and "No space left on device" in err and err.count("\n") == 1


def test_scores_are_printed_with_their_units(run, here):
    code, _ = run(f"{EVALUATE} --step day,month,drought --sites XX-Cr1 --years 2020:2021 --out scores.csv")
    assert code == 0
    nee = next(line for line in run.out.splitlines() if line.split()[:2] == ["NEE", "month"])
    assert "in the fit" in nee and "gC m-2 d-1" in nee and nee.endswith("%") and "nNSE" in run.out.splitlines()[0]
    assert "drought: no tower has enough observations" in run.out
    table = pd.read_csv(here / "scores.csv")
    assert list(table["step"].unique()) == ["day", "month", "drought"] and set(table["site"]) == {"XX-Cr1"}
    (here / "scores.csv").unlink()
