"""The catalog: what ships is right, what is wrong is said all at once."""

import pytest

from hybridflux.data.catalog import describe, load_catalog
from hybridflux.vocabulary import VARIABLES

GOOD = 'id = "x"\nkind = "towers"\ntitle = "X"\nlicence = "CC-BY-4.0"\ncitation = "X"\naccess = "ask"\n'


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


@pytest.mark.parametrize("dataset", load_catalog().values(), ids=lambda dataset: dataset.id)
def test_dataset_can_be_used_and_cited(dataset):
    assert dataset.access and dataset.citation and dataset.licence
    text = describe({dataset.id: dataset})
    assert dataset.title in text and (dataset.doi or "") in text


def test_towers_give_the_columns_of_the_vocabulary():
    columns = {band.name: band.variable for band in load_catalog()["fluxnet2015"].bands}
    extremes = ("tmin", "tmax", "tair_night", "tair_day", "vpd_day")  # come from half-hours or other columns
    wanted = {row.fluxnet: name for name, row in VARIABLES.items() if row.fluxnet and name not in extremes}
    assert wanted.items() <= columns.items()


def test_a_sound_file_is_accepted(tmp_path):
    assert list(load_catalog(write(tmp_path, "towers/x.toml", GOOD))) == ["x"]


def test_all_faults_at_once_with_their_place(tmp_path):
    write(tmp_path, "towers/x.toml", GOOD + 'colour = "red"\nbands_of = "nothing"\n')
    write(tmp_path, "towers/y.toml", "id = ")
    write(tmp_path, "meteo/x.toml", GOOD)
    band = '[[bands]]\nname = "T"\nunits = "{}"\nvariable = "{}"\n'
    write(tmp_path, "towers/z.toml", GOOD.replace('"x"', '"z"') + 'doi = "https://doi.org/10.1/2"\n' + band.format("K", "tiar"))
    write(tmp_path, "towers/u.toml", GOOD.replace('"x"', '"u"') + band.format("hPa", "tair"))
    with pytest.raises(ValueError) as caught:
        load_catalog(tmp_path)
    said = str(caught.value)
    for fault in (
        "towers/x.toml: colour: Extra inputs are not permitted",
        "towers/y.toml: not TOML",
        "meteo/x.toml: belongs at towers/x.toml",
        "towers/z.toml: doi: ",
        "towers/z.toml: bands.0.variable: ",
        "Did you mean `tair`?",
        "towers/u.toml: bands.0: ",
        "cannot convert `hPa` to `degC`",
    ):
        assert fault in said


def test_classes_are_plant_types(tmp_path):
    write(tmp_path, "landcover/x.toml", GOOD.replace("towers", "landcover") + '[classes]\n1 = "OAK"\n')
    with pytest.raises(ValueError, match="not IGBP plant types: OAK"):
        load_catalog(tmp_path)


def test_missing_dataset_and_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no catalog"):
        load_catalog(tmp_path)
    with pytest.raises(ValueError, match="no dataset `y`"):
        load_catalog(write(tmp_path, "towers/x.toml", GOOD + 'bands_of = "y"\n'))
