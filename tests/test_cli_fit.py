"""`hybridflux fit` refuses before it reads a tower what would be lost at its end."""

import sys

import pytest

from hybridflux.cli import main
from hybridflux.model.compositions import get

OWN_PROCESS = """
from hybridflux.model import HybridFlux
from hybridflux.process import light, respiration
def basal(respiration_ref):
    return respiration_ref
model = HybridFlux(gpp=(light.absorbed,), reco=(basal,), sources={})
"""


@pytest.fixture
def fit(monkeypatch, capsys, tmp_path):
    """Run `hybridflux fit` on a folder that must not be opened; gives exit code and stderr."""
    monkeypatch.setattr("hybridflux.cli.prepare", lambda: None)
    monkeypatch.setattr("hybridflux.data.towers.open_towers", lambda *_, **__: pytest.fail("towers were read"))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hybridflux", "fit", "--towers", str(tmp_path), *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err

    return call


def test_an_existing_posterior_is_not_overwritten_in_silence(fit, tmp_path):
    (tmp_path / "p.nc").write_text("precious")
    code, said = fit("--out", tmp_path / "p.nc")
    assert code == 2 and "exists" in said and "--overwrite" in said
    assert (tmp_path / "p.nc").read_text() == "precious"


def test_a_place_that_cannot_be_written_is_refused(fit, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "p.nc", tmp_path):
        code, said = fit("--out", out)
        assert code == 2 and said.count("\n") == 1 and ("cannot be written" in said or "is a folder" in said)


@pytest.mark.parametrize(
    ("text", "said"),
    [(OWN_PROCESS, "`basal` is not declared as a process; write @hf.process"), ("1 / 0", "ZeroDivisionError"), ("x = 1", "does not set")],
    ids=["own process", "error", "no model"],
)
def test_a_model_file_that_cannot_be_used_is_refused(fit, tmp_path, text, said):
    (tmp_path / "own.py").write_text(text)
    code, err = fit("--out", tmp_path / "p.nc", "--model", tmp_path / "own.py")
    assert code == 2 and err.count("\n") == 1 and said in err


def test_a_wrong_setting_lists_what_there_is(fit, tmp_path):
    code, err = fit("--out", tmp_path / "p.nc", "--set", "member=16")
    assert code == 2 and err.count("\n") == 1 and "members=8" in err and "Did you mean `members`" in err


def test_towers_beside_are_for_networks_alone(fit, tmp_path):
    code, err = fit("--out", tmp_path / "p.nc", "--model", "hybrid_water", "--beside", tmp_path)
    assert code == 2 and err.count("\n") == 1 and "only those of --model stacked" in err


def test_networks_read_the_towers_beside_and_nothing_that_only_processes_need(fit, monkeypatch, tmp_path):
    """Both folders are opened, each for what its kind reads, and the fit gets the second one as `beside`."""
    opened, seen = {}, {}

    class Opened:
        def __init__(self, folder, needs):
            self.folder, opened[folder.name] = folder, set(needs)

        def sequences(self, names):
            return self.folder.name

    class Method:
        def fit(self, model, sequences, *, beside, **_):
            seen.update(fit=sequences, beside=beside)
            raise SystemExit(3)

    monkeypatch.setattr("hybridflux.data.towers.open_towers", lambda folder, *, needs, **_: Opened(folder, needs))
    monkeypatch.setattr("hybridflux.inference.method_of", lambda *_: Method())
    (tmp_path / "world").mkdir()
    code, _ = fit("--out", tmp_path / "p.nc", "--model", "stacked", "--beside", tmp_path / "world")
    assert code == 3 and seen == {"fit": tmp_path.name, "beside": "world"}
    assert opened["world"] == set(get("network").needs_at_towers()) < opened[tmp_path.name]
