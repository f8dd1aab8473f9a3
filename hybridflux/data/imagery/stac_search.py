"""Finding items: in a STAC API of the catalog, at the address of any other, or in a static collection of items."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.addresses import redacted
from hybridflux.data.catalog import Dataset, Service
from hybridflux.data.imagery.frames import solar_day
from hybridflux.data.imagery.stac_access import Access
from hybridflux.data.imagery.stac_items import acquired
from hybridflux.data.imagery.stac_signing import signed
from hybridflux.data.network import Patience, persist
from hybridflux.limits import METADATA, PAGES, Refused, shown
from hybridflux.vocabulary import suggestion

if TYPE_CHECKING:
    import pystac

PAGE = 100  # items an answer holds at most; services allow 250 to 10000, and slow ones stall with long answers
_COMPRESSED = 0.6  # size of a compressed 10 m band over its 16 bit numbers: products of a tile have about 500 MB for 870 MB of reflectance
_FILE_BLOCK = 1024  # pixels along the side of a block of a file, which is sent whole: those of earth-search, and of JPEG 2000 of 10 m
_FILES = 1.2  # in which a pixel lies: tiles of Sentinel-2 have 109.8 km on a grid of 100 km; all are read, because a cloud in one counts
_OPENING, _SAMPLING = 1, 3  # requests of a band to open a file, and to test its address and sample it for its offset, once
_SIGNERS: dict[str, Callable[[str], str] | None] = {"none": None, "planetary-computer": signed}


def is_remote(place: str) -> bool:
    """Whether a place is an address."""
    return place.startswith(("http://", "https://"))


def is_file(place: str) -> bool:
    """Whether a place names a file, which may be missing."""
    return not is_remote(place) and (place.endswith(".json") or Path(place).is_file())


def service_of(dataset: Dataset, place: str) -> Service:
    """The service at a place: one of the dataset by its name, or `URL#collection`.

    Raises:
        ValueError: it is neither.
    """
    if is_remote(place):
        url, _, collection = place.partition("#")
        if not collection:
            name = redacted(place)
            raise ValueError(f"{name} names no collection; write URL#collection, for instance {name.rstrip('/')}#{dataset.id}")
        declared = next((service for service in dataset.services if service.url.rstrip("/") == url.rstrip("/")), None)
        hosts: dict[str, Any] = {"hosts": declared.hosts, "schemes": declared.schemes} if declared else {}
        return Service(name=redacted(url), url=url, collection=collection, **hosts)
    named = {service.name: service for service in dataset.services}
    if place not in named:
        raise ValueError(
            f"`{place}` is neither a file nor a service of {dataset.id}; it has {', '.join(named) or 'none'}.{suggestion(place, named)} "
            "Other services are written URL#collection"
        )
    return named[place]


def access_of(dataset: Dataset, place: str) -> Access:
    """Addresses that a place may lead to."""
    return Access.of_file(Path(place)) if is_file(place) else Access.of_service(service_of(dataset, place))


def signer_of(dataset: Dataset, place: str) -> Callable[[str], str] | None:
    """Function that signs the addresses of a place; None where none is needed."""
    if is_file(place):
        return None
    return _SIGNERS[service_of(dataset, place).signing]


def request(service: Service, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> dict:
    """Body of the search request to a service, JSON-ready: items over a grid whose solar day lies between two days, both included."""
    west, south, east, north = geobox.geographic_extent.boundingbox
    early = np.datetime64(start, "s") - np.timedelta64(round(longitude(geobox) * 240), "s")
    late = early + (np.datetime64(end, "D") - np.datetime64(start, "D") + 1) - np.timedelta64(1, "s")
    return {
        "url": service.url,
        "collections": [service.collection],
        "bbox": [round(float(edge), 6) for edge in (west, south, east, north)],
        "datetime": f"{early}Z/{late}Z",
    }


def longitude(geobox: GeoBox) -> float:
    """Longitude of the middle of a grid [degrees east]."""
    return float(geobox.geographic_extent.centroid.coords[0][0])


def items_of(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[pystac.Item]:
    """The items at a place over a grid between two days, both included, in no order.

    Services differ in the parts of a search that they apply, so each item is checked again: collection, day, footprint.

    Raises:
        ConnectionError: the service fails in all tries.
        FileNotFoundError: no such file.
        ValueError: the place is neither file nor service, or the file is not STAC.
    """
    if is_file(place):
        items = static_items(Path(place))
    else:
        service = service_of(dataset, place)
        answers = _search(request(service, geobox, start, end), Access.of_service(service))
        items = [item for item in answers if item.collection_id in (None, service.collection)]
    middle, extent = longitude(geobox), geobox.geographic_extent
    return [item for item in items if start <= solar_day(acquired(item), middle) <= end and _footprint(item).intersects(extent)]


def _footprint(item: pystac.Item):
    from odc.geo.geom import Geometry, box

    try:
        if item.geometry is not None:
            return Geometry(item.geometry, "EPSG:4326")
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        why = f"has a geometry that is none ({shown(error)}); mend the footprint or take the item out"
        raise ValueError(f"item {shown(item.id)} {why}") from error
    if item.bbox is None:
        raise ValueError(f"item {item.id} has neither geometry nor bbox; add the footprint, so that it can be found")
    return box(*item.bbox[:2], *item.bbox[len(item.bbox) // 2 :][:2], "EPSG:4326")


def _search(search: dict, access: Access) -> list[pystac.Item]:
    from pystac_client.exceptions import APIError

    return persist(
        lambda: _search_once(search, access), f"the search at {search['url']}", APIError, lambda error: getattr(error, "status_code", None)
    )


def _search_once(search: dict, access: Access) -> list[pystac.Item]:
    import pystac
    from pystac_client import Client

    from hybridflux.data.imagery.stac_requests import Searcher

    patience, address = Patience.from_environment(), redacted(search["url"])
    client = Client.open(search["url"], stac_io=Searcher(access, (patience.connect, patience.answer)))
    question = client.search(**{name: value for name, value in search.items() if name != "url"}, limit=PAGE)
    items: dict[str, Any] = {}
    announced = None
    for number, page in enumerate(question.pages_as_dicts(), start=1):
        PAGES.check(number, f"the search at {address}")
        if page["features"] and all(feature["id"] in items for feature in page["features"]):
            raise OSError(
                f"the search at {address} gives the same items again on page {number}: its `next` leads back. Ask for a shorter period, or "
                "take another service"
            )
        announced = page.get("numberMatched", (page.get("context") or {}).get("matched", announced))
        items |= {feature["id"]: pystac.Item.from_dict(feature, preserve_dict=False) for feature in page["features"]}
    if announced is not None and len(items) < announced:
        warnings.warn(
            f"{address} announced {announced} items of {search['collections'][0]} and gave {len(items)}: some services only guess "
            "the number, but if this one counts, the series has holes; ask for shorter periods",
            stacklevel=2,
        )
    return list(items.values())


def static_items(path: Path) -> list[pystac.Item]:
    """The items of a static file: an item, an item collection, or a catalog with the files that it names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not STAC.
    """
    import pystac

    from hybridflux.data.imagery.stac_requests import Linked

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; a static place is the JSON of an item, an item collection or a catalog")
    try:
        METADATA.check(path.stat().st_size, str(path))
        content, links = json.loads(path.read_text(encoding="utf-8")), Linked(Access.of_file(path))
        collected = content.get("type") == "FeatureCollection"
        stac_object = pystac.ItemCollection.from_dict(content) if collected else pystac.read_file(str(path), stac_io=links)
    except Refused:
        raise
    except (ValueError, KeyError, AttributeError, pystac.STACTypeError) as error:
        raise ValueError(f"{path} is not the JSON of a STAC item, item collection or catalog: {shown(redacted(str(error)))}") from error
    if isinstance(stac_object, pystac.Catalog):
        return list(stac_object.get_items(recursive=True))
    if not collected:
        return [stac_object]
    for item in stac_object.items:  # their addresses are relative to the file of the collection
        item.set_self_href(str(path.resolve()))
    return list(stac_object.items)


@dataclass(frozen=True)
class Expected:
    """What a search and reading its scenes would cost.

    Attributes:
        request: what would be sent, JSON-ready.
        scenes: days with a scene.
        bytes: read from the service.
        requests: sent to it.
    """

    request: dict
    scenes: int
    bytes: int
    requests: int


def expected(
    dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64, bands: Sequence[str] = (), side: int = 0
) -> Expected:  # fmt: skip
    """What reading a region would ask of a service, without asking: scenes by the usual revisit, bytes by pixels of 16 bits, labels of 8.

    Files are sent by blocks, so that a square of `n` pixels that lies anywhere takes `n / 1024 + 1` of them along each side.

    Args:
        dataset: entry of the catalog.
        place: one of its services, `URL#collection`, or a file.
        geobox: grid of the region.
        start: first day.
        end: last day, included.
        bands: names of bands; all where empty. The band of the mask is added.
        side: pixels along the side of the squares that are read one by one; 0 for the whole grid at once.
    """
    names = {*(bands or (band.name for band in dataset.bands)), dataset.mask.band if dataset.mask else None}
    wanted = [band for band in dataset.bands if band.name in names]
    pixel, (rows, columns) = abs(geobox.resolution.x), geobox.shape
    heights, widths = ([min(side or length, length - first) for first in range(0, length, side or length)] for length in (rows, columns))
    scales = [pixel / (band.resolution or pixel) for band in wanted]
    size, asked = 0.0, 0.0
    for band, scale in zip(wanted, scales, strict=True):
        down, across = ([1 + length * scale / _FILE_BLOCK for length in lengths] for lengths in (heights, widths))
        size += sum(down) * sum(across) * _FILE_BLOCK**2 * _COMPRESSED * (1 if dataset.mask and band.name == dataset.mask.band else 2)
        asked += _SAMPLING + len(widths) * sum(_OPENING + one for one in down)  # a row of blocks is one request
    days = int((np.datetime64(end, "D") - np.datetime64(start, "D")).astype(int)) + 1
    scenes = math.ceil(days / (dataset.revisit or 1.0))
    sent = {"file": place} if is_file(place) else request(service_of(dataset, place), geobox, start, end)
    return Expected(sent, scenes, round(_FILES * size * scenes), round(_FILES * asked * scenes))
