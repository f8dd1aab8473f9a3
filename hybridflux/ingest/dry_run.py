"""The dry run of a build: every request with its size and time, and the files to write; no service is asked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hybridflux.addresses import redacted
from hybridflux.data.catalog import Dataset
from hybridflux.data.imagery import reader
from hybridflux.data.imagery.indices import INDICES
from hybridflux.data.imagery.stac_search import expected, is_file, static_items
from hybridflux.data.land.services import SERVICE, requests
from hybridflux.data.weather.climate_data_store import describe, requests_of
from hybridflux.ingest.build_job import BuildJob
from hybridflux.ingest.build_trial import BuildTrial
from hybridflux.ingest.config import RegionConfig, SourceConfig
from hybridflux.ingest.read_scene import BLOCK
from hybridflux.ingest.run_build import SCENES_AT_ONCE
from hybridflux.time import time_zone_name

DOWNLOAD_RATE = 10e6  # bytes a second; a usual share of an academic line, printed in the plan
REQUEST_SECONDS = 0.1  # from a request over the network to its answer, of which a scene in flight waits for one at a time
LOCAL = "FOLDER"  # stands in a plan for the folder of local files where none is named
ABSENT = "NOT THERE YET, obtain it: "
SHOWN = 100  # characters of a place in a line
STORED = 0.5  # share of the bytes of the daily maps after compression, measured on the sample regions


@dataclass(frozen=True)
class SourceRequest:
    """One source that will be requested or read.

    Attributes:
        part: part of the configuration.
        dataset: id in the catalog.
        what: address, file or request as JSON.
        bytes: expected size; 0 for files that are here already.
        seconds: expected duration.
        note: further remarks.
        count: number of requests to services; 0 for files that are here already.
    """

    part: str
    dataset: str
    what: str
    bytes: float = 0.0
    seconds: float = 0.0
    note: str = ""
    count: int = 0


@dataclass(frozen=True)
class BuildPlan:
    """The plan of a build.

    Attributes:
        config: configuration of the region.
        out: store to write.
        requests: requests in order.
        stored: bytes of the region store.
        views: bytes of the clear views kept beside it.
        compute: time of what this machine does [s], tried on it; None where nothing was tried.
    """

    config: RegionConfig
    out: Path
    requests: tuple[SourceRequest, ...]
    stored: float
    views: float
    compute: BuildTrial | None = None

    @property
    def bytes(self) -> float:
        """Bytes to download."""
        return sum(request.bytes for request in self.requests)

    @property
    def seconds(self) -> float:
        """Expected duration [s], without the queues of services."""
        asked = sum(request.seconds for request in self.requests)
        if self.compute is None:
            return asked
        arriving = sum(request.seconds for request in self.requests if request.part == "imagery")
        together = min(arriving, self.compute.scene * self.scenes)  # some scenes arrive while others are decoded
        return asked + self.compute.seconds(self.pixel_days, self.scenes) - together

    @property
    def pixel_days(self) -> float:
        """Pixels times days of the store."""
        return float(self.config.region_grid.shape[0] * self.config.region_grid.shape[1] * len(self.config.period.days))

    @property
    def scenes(self) -> float:
        """Scenes that are expected."""
        return sum(float(request.note.split()[0]) for request in self.requests if request.part == "imagery")

    def __str__(self) -> str:
        """The plan in a few lines, one for each dataset."""
        return self._text(lambda request: [])

    def every_request(self) -> str:
        """The plan with every address, file and request in full."""
        return self._text(lambda request: [f"    {line}" for line in (*request.what.splitlines(), request.note) if line])

    def _text(self, below: Callable[[SourceRequest], list[str]]) -> str:
        grid, days = self.config.region_grid, self.config.period.days
        rows, columns = grid.shape
        lines = [
            f"{self.config.id}: {self.config.title}",
            f"  {rows} x {columns} pixels of {grid.pixel:g} m in {grid.crs}, {len(grid)} tile{'s' if len(grid) > 1 else ''}; {days[0]} to "
            f"{days[-1]}, {len(days)} days of {time_zone_name(self.config.utc_offset)}",
        ]
        for request in self.requests:
            lines += [f"  {request.part:<10} {request.dataset}: {_one_line(request)}", *below(request)]
        asked = sum(request.count for request in self.requests)
        requests = f"{asked} request{'s' if asked != 1 else ''}, " if asked else ""
        download = f"{requests}{_size(self.bytes)} at {DOWNLOAD_RATE / 1e6:g} MB/s (queues of services come on top)"
        lines.append(f"  to download {download if self.bytes else 'nothing'}")
        lines.append(f"  to write    {_size(self.stored)} {self.out}, {_size(self.views)} of clear views beside it")
        if self.compute:
            filling = f"of which filling the series {_time(self.compute.pixel_day * self.pixel_days)}"
            lines.append(f"  time        about {_time(self.seconds)} on this machine as busy as it is now, {filling}")
        if any(request.what.startswith(LOCAL) for request in self.requests):
            lines.append(f"  {LOCAL} is the folder of your own files; name it with --data")
        return redacted("\n".join(lines))


def _one_line(request: SourceRequest) -> str:
    """A request in words, without its addresses."""
    if request.bytes:
        words = [f"{request.count} requests"] if request.count > 1 else []
        words += [_size(request.bytes), _time(request.seconds)]
        return "; ".join([", ".join(words)] + [request.note] * bool(request.note))
    note, absent, _ = request.note.partition(ABSENT)
    note += f"NOT THERE YET, `hybridflux catalog {request.dataset}` says how to obtain it" if absent else ""
    return "; ".join([request.what.splitlines()[0][:SHOWN], *[note] * bool(note)])


def plan(config: RegionConfig, catalog: dict[str, Dataset], out: Path) -> BuildPlan:
    """The plan of a build.

    A local place that does not exist yet is reported with the way to obtain it.
    """
    requests = [
        request
        for part, sources in config.sources().items()
        for source in sources
        for request in _requests(part, source, config, catalog[source.dataset])
    ]
    of_all, indices = BuildPlan(config, out, tuple(requests), 0.0, 0.0), 1 + len(config.vegetation.also)
    views = STORED * 2 * of_all.pixel_days / len(config.period.days) * of_all.scenes * indices
    return dataclasses.replace(of_all, stored=STORED * 2 * of_all.pixel_days * 2 * indices, views=views)


def tried(planned: BuildPlan, job: BuildJob) -> BuildPlan:
    """The plan with the time of what this machine does: parts of the build are done, those of files that are here.

    What services send is not tried; images of STAC that are not here are made up, decoded and warped.
    """
    absent = [request for request in planned.requests if request.count or "://" in request.what or ABSENT in request.note]
    of_imagery = any(request.part == "imagery" and not request.count for request in absent)
    service = next((request.dataset for request in absent if request.part == "imagery" and request.count), "")
    of_land = any(request.part != "imagery" for request in absent)
    found = BuildTrial.of(job, round(planned.scenes), land=not of_land, imagery=not (of_imagery or service), service=service)
    return dataclasses.replace(planned, compute=found)


def _requests(part: str, source: SourceConfig, config: RegionConfig, dataset: Dataset) -> Iterator[SourceRequest]:
    geobox, days = config.region_grid.geobox, config.period.days
    if part == "imagery":
        yield _imagery(source, config, dataset)
    elif dataset.format == "declared":
        yield SourceRequest(part, dataset.id, source.place)
    elif source.place != SERVICE:
        remote = "://" in source.place or source.place.startswith("/vsi")
        exists = remote or Path(source.place.partition("#")[0]).exists()
        yield SourceRequest(part, dataset.id, source.place, note="" if exists else f"{ABSENT}{dataset.access}")
    elif part == "weather":
        asked = requests_of(dataset, config.extent, days[0], days[-1], config.utc_offset)
        size = sum(request.size for request in asked)
        note = "the queue of the data store takes minutes to hours for each"
        yield SourceRequest(part, dataset.id, describe(asked), size, size / DOWNLOAD_RATE, note, len(asked))
    else:
        asked = requests(dataset, geobox)
        size = sum(request["bytes"] for request in asked)
        addresses = "\n".join(request["address"] for request in asked)
        yield SourceRequest(part, dataset.id, addresses, size, size / DOWNLOAD_RATE, count=len(asked))


def _imagery(source: SourceConfig, config: RegionConfig, dataset: Dataset) -> SourceRequest:
    geobox, days = config.region_grid.geobox, config.period.days
    if dataset.format == "stac" and not _is_here(source.place):
        names = (config.vegetation.index, *config.vegetation.also)
        bands = sorted({band for name in names for band in INDICES[name].bands})
        search = expected(dataset, source.place, geobox, days[0], days[-1], bands, BLOCK)
        seconds = max(search.bytes / DOWNLOAD_RATE, REQUEST_SECONDS * search.requests / SCENES_AT_ONCE)
        note = f"{search.scenes} scenes, {', '.join(bands)}"
        return SourceRequest("imagery", dataset.id, json.dumps(search.request), search.bytes, seconds, note, search.requests)
    if not Path(source.place.partition("#")[0]).exists():
        guess = round(len(days) / (dataset.revisit or 1.0))
        return SourceRequest("imagery", dataset.id, source.place, note=f"{guess} scenes or so; {ABSENT}{dataset.access}")
    scenes = reader(dataset.format)(dataset, source.place, geobox, days[0], days[-1])
    return SourceRequest("imagery", dataset.id, source.place, note=f"{len(scenes)} scenes")


def _is_here(place: str) -> bool:
    """Whether a place is a static STAC file, all of whose assets are files beside it."""
    if not is_file(place) or not Path(place).exists():
        return False
    return all("://" not in asset.href for item in static_items(Path(place)) for asset in item.assets.values())


def _size(count: float) -> str:
    """Bytes in words.

    >>> _size(2.5e9), _size(1e4)
    ('2.5 GB', '0.01 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _time(seconds: float) -> str:
    """Seconds in words.

    >>> _time(30), _time(7300)
    ('30 s', '2 h 02 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "below 1 s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


