"""The demo: steps are skipped, resumed and redone as they should be, and the whole chain runs."""

import json

import pandas as pd
import pytest

from hybridflux import demo

pytestmark = pytest.mark.long


@pytest.fixture
def counted(monkeypatch):
    """Work replaced by writing a file; the names of the steps that ran, in order, and whether they went on."""
    ran = []

    def fake(name, writes):
        def work(self, go_on, notify):
            notify(1, 2, "half")
            ran.append((name, go_on))
            (self.out / writes).write_text(name)
            return "fine"

        return work

    for name, writes in {"world": "world", "fit": "posterior.nc", "map": "run", "scenario": "scenario", "budget": "budget.csv"}.items():
        monkeypatch.setattr(demo._Demo, f"_{name}", fake(name, writes))
    monkeypatch.setattr(demo._Demo, "_report", fake("report", "report.html"))
    return ran


def test_a_finished_demo_is_not_done_again(counted, tmp_path, capsys):
    report = demo.run_demo(tmp_path / "demo", size=16, days=30, draws=2)
    assert report.exists() and len(counted) == 6
    demo.run_demo(tmp_path / "demo", size=16, days=30, draws=2)
    assert len(counted) == 6
    said = capsys.readouterr().out
    assert "done before" in said and "report.html" in said and "hybridflux fit" in said


def test_a_missing_file_is_made_again_and_what_follows_too(counted, tmp_path):
    out = tmp_path / "demo"
    demo.run_demo(out, size=16, days=30, draws=2)
    (out / "posterior.nc").unlink()
    counted.clear()
    demo.run_demo(out, size=16, days=30, draws=2)
    assert [name for name, _ in counted] == ["fit", "map", "scenario", "budget", "report"]


def test_other_settings_start_anew(counted, tmp_path):
    demo.run_demo(tmp_path / "demo", size=16, days=30, draws=2)
    counted.clear()
    demo.run_demo(tmp_path / "demo", size=16, days=30, draws=3)
    assert counted[0] == ("world", False) and len(counted) == 6


def test_an_interrupted_step_goes_on(counted, tmp_path, monkeypatch):
    out = tmp_path / "demo"

    def stopped(self, go_on, notify):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo._Demo, "_map", stopped)
        with pytest.raises(KeyboardInterrupt):
            demo.run_demo(out, size=16, days=30, draws=2)
    assert json.loads((out / "steps.json").read_text())["map"]["state"] == "started"
    counted.clear()
    demo.run_demo(out, size=16, days=30, draws=2)
    assert counted[0] == ("map", True)


@pytest.mark.slow
def test_the_whole_chain(tmp_path):
    report = demo.run_demo(tmp_path / "demo", size=32, days=365, draws=32, seed=2)
    assert report.stat().st_size > 100_000
    budget = pd.read_csv(tmp_path / "demo" / "budget.csv")
    assert {"NEE", "GPP", "RECO", "NBP"} <= set(budget["variable"]) and set(budget["stage"]) == {"prior"}
    informed = pd.read_csv(tmp_path / "demo" / "assimilated.csv")
    nbp = informed[informed["variable"] == "NBP"]
    assert set(informed["stage"]) == {"assimilated"} and (nbp["sd"] < nbp["prior_sd"]).all()
    assert (budget["spread"] == "parameter+random_effects+structural_error").all()
    effect = pd.read_csv(tmp_path / "demo" / "scenario" / "effect.csv")
    drier = effect[(effect["zone"] == "region") & (effect["land_cover"] == "all") & (effect["variable"] == "GPP")]
    assert (drier["q95"] < 0).all()
