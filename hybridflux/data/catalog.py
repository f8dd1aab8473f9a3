"""The data catalog: `data_catalog/<kind>/<id>.toml`, one file for each dataset, checked as a whole.

A file describes a dataset: its licence, the way to obtain it, and the variable of the vocabulary for each of its columns or bands,
with units, scale, offset, missing value and quality rule.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator

from hybridflux.data.harmonisation import CalibrationLine
from hybridflux.units import convert
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES, suggestion

_BESIDE_PACKAGE = Path(__file__).resolve().parents[2] / "data_catalog"  # in a checkout
_INSIDE_PACKAGE = Path(__file__).resolve().parents[1] / "data_catalog"  # in an installed wheel
REGIONS = "regions"  # folder of the catalog with the configurations of regions, which are not datasets

COMMON: Mapping[str, str] = {
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge071": "B05", "rededge075": "B06", "rededge078": "B07",
    "nir": "B08", "nir08": "B8A", "nir09": "B09", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
"""Common name of a band of reflectance (STAC, electro-optical extension 2.0, github.com/stac-extensions/eo) -> the band of Sentinel-2 of
these wavelengths, by which formulae know it."""


class Mask(BaseModel):
    """Rule by which pixels of a scene are clear, or values of a band are good, from a band of the scene.

    Attributes:
        band: name of the band.
        clear: values that are clear; all others are masked.
        cloudy_bits: alternatively bits, counted from 0, of which none may be set.
        grow: distance by which masked areas grow [m], because masks miss the rims of clouds.
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


class Band(BaseModel):
    """One column or band of a dataset; `scale * stored + offset` is in `units`.

    Attributes:
        name: its name in the files; of a satellite's band of reflectance its common name (`COMMON`) or that of the Sentinel-2 band, and its
            name in the files among the aliases.
        aliases: its names in other services and formats, for instance `red` for `B04`.
        resolution: size of its pixels [m].
        units: units after scale and offset.
        variable: its name in the vocabulary; none where it only serves to derive a variable.
        shortwave: whether it is shortwave radiation of which `variable` is the photosynthetic share.
        scale: factor on the stored number.
        offset: added after the factor.
        nodata: stored number that means missing.
        range: lowest and highest possible stored number; any other is damage, another unit or an undeclared missing value.
        quality: column or band that qualifies it.
        mask: which of its own values are good, beside the mask of the dataset; `points` alone reads it, where the table has that column.
        note: caveats for users of the data.
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
    mask: Mask | None = None
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


class Service(BaseModel):
    """A STAC API that offers a dataset.

    Attributes:
        name: its name in a configuration.
        url: address of the API.
        collection: name of the collection there.
        hosts: hosts of its files, besides that of `url`: names of machines, or of buckets of `s3://`; `*` in them stands for any text.
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
        title: one line.
        licence: licence of the data, as the provider states it.
        citation: reference to cite.
        attribution: sentence a product made from it must carry, where the provider asks for one.
        doi: DOI of the data or of the paper that describes it.
        access: how a user obtains it.
        files: patterns of its file names.
        bands: its columns or bands.
        bands_of: another dataset with the same bands, instead of `bands`; its mask and offsets hold too where none are given here.
        format: name of its reader, a key of `reader` in `hybridflux.data.imagery`, `.weather`, `.moisture` or `.land`.
        mask: which pixels are clear, for imagery.
        offsets: source of the offset of stored numbers: `catalog`, the `offset` of the bands; `sentinel-2`, the metadata of each
            scene, or the `offset` of the bands where the scene has none, judged by its pixels and by the dates around it.
        services: STAC APIs that offer the dataset.
        ground_resolution: size of a pixel, for reanalyses and the like [degrees].
        revisit: usual time between two acquisitions [d].
        composite: length of the composite of a row of `points`, from its date on [d].
        lines: index -> plant type, or `all` for the others -> calibration line from the index to the `fapar` of this dataset,
            or to the same index where that is what the dataset gives.
        classes: code -> plant type, for land cover; other codes are masked.
        names: code -> name of its zone, for labels that are read as zones.
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
    lines: dict[str, dict[str, CalibrationLine]] = {}
    classes: dict[int, str] = {}
    names: dict[int, str] = {}
    note: str | None = None

    @field_validator("bands")
    @classmethod
    def _by_sentinel_2(cls, bands: tuple[Band, ...], info: ValidationInfo) -> tuple[Band, ...]:
        """A satellite's bands by the names of Sentinel-2, their common names among the aliases."""
        if info.data.get("kind") != "satellite":
            return bands
        named = tuple(
            band.model_copy(update={"name": COMMON[band.name], "aliases": (*band.aliases, band.name)}) if band.name in COMMON else band
            for band in bands
        )
        names = [band.name for band in named]
        twice = sorted({f"`{name}`" for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{' and '.join(twice)} is there twice; a common name such as `red` and the band `B04` are the same")
        return named

    @field_validator("doi")
    @classmethod
    def _bare_doi(cls, doi: str | None) -> str | None:
        if doi is not None and not doi.startswith("10."):
            raise ValueError(f"`{doi}`: write the bare DOI, starting with 10.")
        return doi

    @field_validator("lines")
    @classmethod
    def _lines_of_plant_types(cls, lines: dict[str, dict[str, CalibrationLine]]) -> dict[str, dict[str, CalibrationLine]]:
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


def load_catalog(folder: str | Path | None = None, own: str | Path | None = None) -> dict[str, Dataset]:
    """All datasets of a catalog by id.

    Args:
        folder: of a catalog; the one shipped with hybridflux by default.
        own: another folder `<kind>/<id>.toml` whose datasets join those: a satellite of your own is one file there.

    Raises:
        FileNotFoundError: a folder holds no dataset.
        ValueError: everything that is wrong in any file, one line each: file, field, reason.

    >>> load_catalog()["fluxnet2015"].licence
    'CC-BY-4.0'
    """
    folders = [Path(folder) if folder else catalog_folder(), *([Path(own)] if own else [])]
    datasets: dict[str, Dataset] = {}
    faults: list[str] = []
    for place in folders:
        found = dict(_read_datasets(place, faults))
        if not found and not faults:
            raise FileNotFoundError(f"no catalog in {place}: it holds no <kind>/<id>.toml")
        taken = [one for name, one in found.items() if name in datasets]
        faults += [f"{one.kind}/{one.id}.toml: hybridflux has a dataset `{one.id}`; rename yours" for one in taken]
        datasets |= found
    faults += [
        f"{dataset.kind}/{dataset.id}.toml: bands_of: no dataset `{dataset.bands_of}`"
        for dataset in datasets.values()
        if dataset.bands_of and dataset.bands_of not in datasets
    ]
    if faults:
        raise ValueError(f"{len(faults)} faults in the catalog {folders[-1]}:\n  " + "\n  ".join(faults))
    return {name: _with_bands_of_another(dataset, datasets) for name, dataset in datasets.items()}


def _read_datasets(folder: Path, faults: list[str]) -> Iterator[tuple[str, Dataset]]:
    """Id and dataset of each file of a folder; what is wrong joins `faults`."""
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
            if where != f"{dataset.kind}/{dataset.id}.toml":
                faults.append(f"{where}: belongs at {dataset.kind}/{dataset.id}.toml by its kind and id")
            yield dataset.id, dataset


def _with_bands_of_another(dataset: Dataset, datasets: dict[str, Dataset]) -> Dataset:
    """A dataset that refers to another one, with its bands and, unless given here, its mask and rule of offsets."""
    if dataset.bands_of not in datasets:
        return dataset
    other = datasets[dataset.bands_of]
    taken = {"bands": other.bands, "mask": dataset.mask or other.mask}
    return dataset.model_copy(update=taken if "offsets" in dataset.model_fields_set else taken | {"offsets": other.offsets})


def matching(datasets: dict[str, Dataset], word: str) -> dict[str, Dataset]:
    """Datasets whose description holds a word, in any case: id, kind, title, licence, access, bands, services, note.

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
        facts: dict[str, str | None] = {"licence": dataset.licence, "obtain": dataset.access, "cite": reference}
        facts |= {"credit": dataset.attribution, "note": dataset.note}
        lines.append(f"{dataset.kind}/{dataset.id}: {dataset.title}")
        layout: dict[str, Any] = {"width": 100, "subsequent_indent": " " * 10, "break_on_hyphens": False, "break_long_words": False}
        lines += [fill(text, initial_indent=f"  {name:<8}", **layout) for name, text in facts.items() if text]
        lines.append("")
    return "\n".join(lines)
