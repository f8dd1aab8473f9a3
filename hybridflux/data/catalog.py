"""The data catalog: `data_catalog/<kind>/<id>.toml`, one file a dataset, checked as a whole.

A file says what a dataset is, under which licence, how a user obtains it, and which of its columns or bands are which
variable of the vocabulary, in which units and with which scale, offset, missing value and quality rule.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from textwrap import fill
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from hybridflux.data.harmonisation import Line
from hybridflux.units import convert
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES, suggestion

_BESIDE_PACKAGE = Path(__file__).resolve().parents[2] / "data_catalog"  # in a checkout
_INSIDE_PACKAGE = Path(__file__).resolve().parents[1] / "data_catalog"  # in an installed wheel
REGIONS = "regions"  # folder of the catalog with the configurations of regions, which are not datasets


class Band(BaseModel):
    """One column or band of a dataset; `scale * stored + offset` is in `units`.

    Attributes:
        name: its name in the files.
        aliases: its names in other services and formats, for instance `red` for `B04`.
        resolution: size of its pixels [m].
        units: units after scale and offset.
        variable: the vocabulary's name for it; none where it only serves to derive one.
        shortwave: whether it is shortwave radiation of which `variable` is the photosynthetic share.
        scale: factor of the stored number.
        offset: added after the factor.
        nodata: stored number that means missing.
        range: lowest and highest stored number that can be; any other is damage, another unit or an undeclared missing value.
        quality: column or band that qualifies it.
        note: what a reader of the data must know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    units: str
    aliases: tuple[str, ...] = ()
    resolution: float | None = None
    variable: str | None = None
    shortwave: bool = False
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    range: tuple[float, float] | None = None
    quality: str | None = None
    note: str | None = None

    @field_validator("variable")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in VARIABLES:
            raise ValueError(f"`{name}` is not a variable of hybridflux.{suggestion(name, VARIABLES)}")
        return name

    @model_validator(mode="after")
    def _units_convert(self) -> Band:
        if self.variable:
            convert(1.0, self.units, VARIABLES[self.variable].units)
        return self


class Mask(BaseModel):
    """Which pixels of a scene are a clear view of the land, by a band of the scene.

    Attributes:
        band: its name.
        clear: values that are clear; all others are masked.
        cloudy_bits: or bits, counted from 0, of which none may be set.
        grow: distance by which what is masked grows, because masks miss the rims of clouds [m].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    band: str
    clear: tuple[int, ...] = ()
    cloudy_bits: tuple[int, ...] = ()
    grow: float = 0.0

    @model_validator(mode="after")
    def _one_rule(self) -> Mask:
        if bool(self.clear) == bool(self.cloudy_bits):
            raise ValueError("name either the values that are clear or the bits that are cloudy, not both or none")
        return self


class Service(BaseModel):
    """A STAC API that offers a dataset.

    Attributes:
        name: what a configuration calls it.
        url: of the API.
        collection: of the dataset there.
        hosts: of its files, besides that of `url`: names of machines, or of buckets of `s3://`; `*` in them stands for anything.
        schemes: by which its files may be read.
        signing: how its addresses are made readable: `none`, or `planetary-computer` for signed addresses.
        note: caveats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str
    collection: str
    hosts: tuple[str, ...] = ()
    schemes: tuple[Literal["https", "http", "s3", "file"], ...] = ("https",)
    signing: Literal["none", "planetary-computer"] = "none"
    note: str | None = None


class Dataset(BaseModel):
    """One dataset of the catalog.

    Attributes:
        id: file name without `.toml`.
        kind: folder of the file.
        title: what it is.
        licence: licence of the data, as the provider states it.
        citation: reference to cite.
        attribution: sentence a product made from it must carry, where the provider asks for one.
        doi: of the data or of the paper that describes it.
        access: how a user obtains it.
        files: patterns of its file names.
        bands: its columns or bands.
        bands_of: another dataset with the same bands, instead of `bands`; its mask and offsets hold too where none are given here.
        format: name of its reader, a key of `reader` in `hybridflux.data.imagery`, `.weather`, `.moisture` or `.land`.
        mask: which pixels are clear, for imagery.
        offsets: who says what is added to a stored number: `catalog`, the `offset` of the bands; `sentinel-2`, the metadata of each
            scene, or the `offset` of the bands where it has none, judged by its pixels and by the dates around it.
        services: STAC APIs that offer it.
        ground_resolution: size of a pixel, for reanalyses and the like [degrees].
        revisit: usual distance of two acquisitions [d].
        composite: days that a row of `points` stands for, counted from its date [d].
        lines: index -> plant type, or `all` for those that are not named -> line that brings it to the `fapar` of this dataset, or to
            the index itself where that is what the dataset gives.
        classes: code -> plant type, for land cover; a code that is not named is masked.
        names: code -> name of the zone it becomes, for labels that are read as zones.
        note: caveats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["towers", "satellite", "meteo", "soil", "terrain", "landcover", "inventories"]
    title: str
    licence: str
    citation: str
    access: str
    attribution: str | None = None
    doi: str | None = None
    files: tuple[str, ...] = ()
    bands: tuple[Band, ...] = ()
    bands_of: str | None = None
    format: str | None = None
    mask: Mask | None = None
    offsets: Literal["catalog", "sentinel-2"] = "catalog"
    services: tuple[Service, ...] = ()
    ground_resolution: float | None = None
    revisit: float | None = None
    composite: int = 1
    lines: dict[str, dict[str, Line]] = {}
    classes: dict[int, str] = {}
    names: dict[int, str] = {}
    note: str | None = None

    @field_validator("doi")
    @classmethod
    def _bare_doi(cls, doi: str | None) -> str | None:
        if doi is not None and not doi.startswith("10."):
            raise ValueError(f"`{doi}`: write the bare DOI, starting with 10.")
        return doi

    @field_validator("lines")
    @classmethod
    def _lines_of_plant_types(cls, lines: dict[str, dict[str, Line]]) -> dict[str, dict[str, Line]]:
        for index, of_type in lines.items():
            unknown = sorted(set(of_type) - set(PLANT_TYPES) - {"all"})
            if unknown or "all" not in of_type:
                wrong = f"not for {', '.join(unknown)}" if unknown else "the one for `all` is missing"
                raise ValueError(f"`{index}`: write a line for `all`, and more for IGBP codes; {wrong}")
        return lines

    @field_validator("classes")
    @classmethod
    def _plant_types(cls, classes: dict[int, str]) -> dict[int, str]:
        unknown = sorted(set(classes.values()) - set(PLANT_TYPES))
        if unknown:
            raise ValueError(f"not IGBP plant types: {', '.join(unknown)}; known are {', '.join(PLANT_TYPES)}")
        return classes


def catalog_folder() -> Path:
    """The catalog shipped with hybridflux."""
    return _BESIDE_PACKAGE if _BESIDE_PACKAGE.is_dir() else _INSIDE_PACKAGE


def load_catalog(folder: str | Path | None = None) -> dict[str, Dataset]:
    """All datasets of a catalog folder by id; of the catalog shipped with hybridflux if no folder is named.

    Raises:
        ValueError: everything that is wrong in any file, one line each: file, field, reason.

    >>> load_catalog()["fluxnet2015"].licence
    'CC-BY-4.0'
    """
    folder = Path(folder) if folder else catalog_folder()
    datasets, faults = {}, []
    for path in sorted(folder.rglob("*.toml")):
        where = path.relative_to(folder).as_posix()
        if where.startswith(REGIONS + "/"):
            continue
        try:
            dataset = Dataset.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            faults.append(f"{where}: not TOML: {error}")
        except ValidationError as error:
            faults += [f"{where}: {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
        else:
            datasets[dataset.id] = dataset
            if where != f"{dataset.kind}/{dataset.id}.toml":
                faults.append(f"{where}: belongs at {dataset.kind}/{dataset.id}.toml by its kind and id")
    faults += [
        f"{dataset.kind}/{dataset.id}.toml: bands_of: no dataset `{dataset.bands_of}`"
        for dataset in datasets.values()
        if dataset.bands_of and dataset.bands_of not in datasets
    ]
    if faults:
        raise ValueError(f"{len(faults)} faults in the catalog {folder}:\n  " + "\n  ".join(faults))
    if not datasets:
        raise FileNotFoundError(f"no catalog in {folder}: it holds no <kind>/<id>.toml")
    return {name: _with_bands_of_another(dataset, datasets) for name, dataset in datasets.items()}


def _with_bands_of_another(dataset: Dataset, datasets: dict[str, Dataset]) -> Dataset:
    """A dataset that refers to another one, with the bands and, unless it has its own, the mask and the rule of offsets of that one."""
    if dataset.bands_of not in datasets:
        return dataset
    other = datasets[dataset.bands_of]
    taken = {"bands": other.bands, "mask": dataset.mask or other.mask}
    return dataset.model_copy(update=taken if "offsets" in dataset.model_fields_set else taken | {"offsets": other.offsets})


def matching(datasets: dict[str, Dataset], word: str) -> dict[str, Dataset]:
    """The datasets whose description holds a word, whatever its capitals: id, kind, title, licence, access, bands, services, note.

    >>> sorted(matching(load_catalog(), "S2 100 m"))
    []
    """
    wanted = word.casefold()
    return {name: dataset for name, dataset in datasets.items() if wanted in dataset.model_dump_json().casefold()}


def describe(datasets: dict[str, Dataset]) -> str:
    """A catalog as text for the terminal, by kind."""
    lines = []
    for dataset in sorted(datasets.values(), key=lambda dataset: (dataset.kind, dataset.id)):
        reference = dataset.citation + (f", doi:{dataset.doi}" if dataset.doi else "")
        facts = {"licence": dataset.licence, "obtain": dataset.access, "cite": reference}
        facts |= {"credit": dataset.attribution, "note": dataset.note}
        lines.append(f"{dataset.kind}/{dataset.id}: {dataset.title}")
        layout = {"width": 100, "subsequent_indent": " " * 10, "break_on_hyphens": False, "break_long_words": False}  # addresses stay whole
        lines += [fill(text, initial_indent=f"  {name:<8}", **layout) for name, text in facts.items() if text]
        lines.append("")
    return "\n".join(lines)
