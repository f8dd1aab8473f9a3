"""The BOA offset of scenes from their metadata, their pixels and, where these leave it open, neighbouring dates.

Processing baseline 04.00 (25 January 2022 on, and all reprocessed scenes) stores reflectance * 10000 + 1000, so that negative reflectances
keep their place (Sentinel-2 Products Specification Document, BOA_ADD_OFFSET). Providers remove the offset or leave it in, and their
metadata are wrong for some scenes. Declaration and pixels are weighed as log odds. Declarations that agree are overruled only by impossible
reflectances; an uncertain one by unlikely ones. Where the sum is small, the dates before and after are compared: over land that has not
changed, an offset that comes or goes is a jump of 0.1.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hybridflux.data.imagery.offset_evidence import SHIFT, Evidence, Sample, difference, evidence, passed_on

FIRM = 9.0
"""Log odds of declarations that agree with each other and with the processing baseline; vegetation with a red below -0.045 outweighs it."""
CERTAIN = 2.5
"""Log odds, 12 to 1, below which neighbouring dates are compared, and an uncertain declaration is reported as not confirmed."""
_CONFIRMED = 1.5  # log odds of the pixels of a scene from which they confirm the declaration
_REACH, _SEASON = 6, np.timedelta64(120, "D")  # largest number of dates before and after, and their largest distance
_WEIGHT, _FIRM_WEIGHT = 2.0, 8.0
"""Weight of the prior trust in a kind of declaration, in dates; against a firm one only impossible values count."""


@dataclass(frozen=True)
class Declared:
    """The offset that the metadata of a scene declare.

    Attributes:
        value: added to scaled numbers [1]; None if nothing is declared.
        source: source of the declaration.
        trust: log odds that it is right; 0 if nothing is declared.
        claims: source -> declared offset [1].
        persistence: log odds that two successive dates have the same offset, where one exporter wrote the files.
    """

    value: float | None
    source: str
    trust: float
    claims: Mapping[str, float] = field(default_factory=dict)
    persistence: float = 0.0

    @property
    def firm(self) -> bool:
        """Whether only impossible values overrule it."""
        return self.trust >= FIRM

    @property
    def sign(self) -> float:
        """1 if it declares the numbers free of the offset, -1 if it declares that they hold it, 0 if nothing."""
        return 0.0 if self.value is None else 1.0 if self.value == 0.0 else -1.0


@dataclass(frozen=True)
class OffsetDecision:
    """The decision on the offset.

    Attributes:
        value: added to scaled numbers [1]; None if the scene has to be left out.
        source: evidence that decided.
        record: the evidence, JSON-ready.
    """

    value: float | None
    source: str
    record: dict


@dataclass(frozen=True)
class Member:
    """A scene of a series.

    Attributes:
        name: name for messages.
        tile: tile; only scenes of one tile are neighbours.
        day: solar day.
        declared: offset by its metadata.
        look: function that reads a sample of its pixels, at the same places for all scenes of a tile; None without a red band.
    """

    name: str
    tile: str
    day: np.datetime64
    declared: Declared
    look: Callable[[], Sample | None]


class Series:
    """The scenes of one reader, and the decisions on their offsets; each scene is sampled once, when it is needed.

    A decision does not depend on the order in which scenes are read.
    """

    def __init__(self, members: Sequence[Member]):
        self._members = sorted(members, key=lambda member: (member.tile, member.day, member.name))
        self._place = {id(member): number for number, member in enumerate(self._members)}
        self._seen: dict[int, tuple[Evidence, Sample | None]] = {}
        self._verdicts: dict[int, OffsetDecision] = {}
        self._reported: set[tuple] = set()

    def verdict(self, member: Member) -> OffsetDecision:
        """The offset of a scene; a declaration that is contradicted, or uncertain and not confirmed, is warned of with its numbers.

        Raises:
            OSError: its files cannot be read.
            ValueError: likewise.
        """
        number = self._place[id(member)]
        if number not in self._verdicts:
            self._verdicts[number] = self._decide(number)
        return self._verdicts[number]

    def _look(self, number: int) -> tuple[Evidence, Sample | None]:
        if number not in self._seen:
            sample = self._members[number].look()
            self._seen[number] = (Evidence(), None) if sample is None else (evidence(sample), sample.thinned())
        return self._seen[number]

    def _decide(self, number: int) -> OffsetDecision:
        member = self._members[number]
        declared, (seen, sample) = member.declared, self._look(number)
        trust, around, asked = declared.sign * declared.trust, 0.0, []
        if sample is not None and (declared.sign * seen.log_odds < _CONFIRMED or abs(trust + seen.log_odds) < CERTAIN):
            chains = []
            for step in (-1, 1):
                chain, looked = self._neighbours(number, step)
                chains.append(chain)
                asked += looked
            trust = self._trust(declared, asked)
            around = sum(self._message(number, chain, asked) for chain in chains)
        record = {
            "declared": dict(declared.claims),
            "log_odds_declared": round(trust, 2),
            "log_odds_pixels": round(seen.log_odds, 2),
            "log_odds_neighbours": round(around, 2),
            "pixels": f"{seen.pixels} of {seen.pixel_kind}, {seen.band} {seen.median:.4f} before any offset" if seen.pixel_kind else "none",
            "neighbours": [self._members[other].name for other in sorted(asked)],
        }
        return self._spoken(member, seen, trust, around, record)

    def _neighbours(self, number: int, step: int) -> tuple[list[int], list[int]]:
        """Dates before or after that can be compared, each with the next, nearest first; and all that were sampled."""
        chain, looked, at, start = [], [], number, number
        for _ in range(_REACH):
            number += step
            if not 0 <= number < len(self._members) or not self._near(number, start):
                break
            try:
                _, sample = self._look(number)
            except (OSError, ValueError):  # raised again when that scene itself is read
                continue
            looked.append(number)
            if sample is None or (difference(self._look(at)[1], sample) is None and not self._members[at].declared.persistence):
                continue
            chain.append(number)
            at = number
        return chain, looked

    def _near(self, number: int, other: int) -> bool:
        here, there = self._members[number], self._members[other]
        return here.tile == there.tile and abs(here.day - there.day) <= _SEASON

    def _trust(self, declared: Declared, others: Sequence[int]) -> float:
        """Log odds by the declaration, updated with the pixels of other dates that have declarations of its kind."""
        if declared.value is None:
            return 0.0
        shown = [self._look(other)[0].log_odds * declared.sign for other in others if _alike(self._members[other].declared, declared)]
        for_it, against = sum(odds >= CERTAIN for odds in shown), sum(odds <= -(FIRM if declared.firm else CERTAIN) for odds in shown)
        if declared.firm and not against:
            return declared.sign * declared.trust
        weight = _FIRM_WEIGHT if declared.firm else _WEIGHT
        right = weight / (1.0 + math.exp(-declared.trust))
        return declared.sign * math.log((right + for_it) / (weight - right + against))

    def _message(self, number: int, chain: Sequence[int], others: Sequence[int]) -> float:
        """Log odds from a chain of neighbours of a scene, from the farthest to the nearest.

        Their declarations count only if they are of another kind: wrong metadata are wrong for many dates.
        """
        log_odds, path, declared = 0.0, [*reversed(chain), number], self._members[number].declared
        for here, there in zip(path, path[1:], strict=False):
            (seen, sample), other = self._look(here), self._members[here].declared
            trust = 0.0 if _alike(other, declared) else self._trust(other, others)
            change = difference(sample, self._look(there)[1])
            log_odds = passed_on(log_odds + trust + seen.log_odds, change, declared.persistence if _alike(other, declared) else 0.0)
        return log_odds

    def _spoken(self, member: Member, seen: Evidence, trust: float, around: float, record: dict) -> OffsetDecision:
        """The decision by the sum of log odds, and its warning."""
        declared, total = member.declared, trust + seen.log_odds + around
        if declared.value is None and abs(total) < 1.0:
            _warn(f"{member.name} gives neither its processing baseline nor an offset, and {_shown(seen)}: left out")
            return OffsetDecision(None, "unknown", record)
        decided = 0.0 if total > 0.0 else SHIFT
        by = seen.pixel_kind if seen.pixel_kind and abs(seen.log_odds) >= abs(around) else "neighbouring dates"
        if declared.value is None:
            if abs(total) < CERTAIN:
                _warn(
                    f"{member.name} gives neither its processing baseline nor an offset; {_shown(seen)}{_by_neighbours(around, record)}; "
                    f"used {decided:+.1f}, which is not certain: compare it with another date of the tile"
                )
            return OffsetDecision(decided, by, record)
        if total * declared.sign < 0.0:
            self._report_overruled(member, seen, decided, trust, total, record)
            return OffsetDecision(decided, f"{by} against {declared.source}", record)
        contradicted = min(seen.log_odds, seen.log_odds + around) * declared.sign < (-2.0 if declared.firm else -0.5)
        confirmed = declared.firm or max(seen.log_odds * declared.sign, around * declared.sign) >= _CONFIRMED
        if contradicted or not confirmed or abs(total) < CERTAIN:
            other = SHIFT if declared.value == 0.0 else 0.0
            how = "which its pixels contradict" if contradicted else "which its pixels do not confirm"
            _warn(
                f"{member.name}: {declared.source} gives an offset of {declared.value:+.1f}, {how}: {_shown(seen, declared.value, other)}"
                f"{_by_neighbours(around, record)}; used {declared.value:+.1f}"
            )
        return OffsetDecision(declared.value, declared.source, record)

    def _report_overruled(self, member: Member, seen: Evidence, used: float, trust: float, total: float, record: dict) -> None:
        """Warn that a declaration is overruled: once for a series where other dates show that its kind is wrong, else for each scene."""
        declared, key = member.declared, (member.declared.source, used)
        common = abs(total) >= CERTAIN and trust * declared.sign < 0.0
        if common and key in self._reported:
            return
        ending = "; for other scenes of the series it is recorded in their origin only" if common else ""
        if common:
            self._reported.add(key)
        elif abs(total) < CERTAIN:
            ending = ", which is not certain: compare it with another date of the tile"
        _warn(
            f"{member.name}: {declared.source} gives an offset of {declared.value:+.1f}, but {_shown(seen, declared.value, used)}"
            f"{_by_neighbours(record['log_odds_neighbours'], record)}; used {used:+.1f}{ending}"
        )


def _alike(declared: Declared, other: Declared) -> bool:
    return (declared.source, declared.value) == (other.source, other.value)


def _shown(seen: Evidence, first: float | None = None, second: float | None = None) -> str:
    if not seen.pixel_kind:
        return "no clear land or water shows it"
    at = f"{seen.median:.3f} before any offset"
    if first is not None and second is not None:
        at = f"{seen.median + first:.3f} with it and {seen.median + second:.3f} with {second:+.1f}"
    return f"the median reflectance of {seen.pixels} pixels of {seen.pixel_kind} in the {seen.band} is {at}"


def _by_neighbours(around: float, record: dict) -> str:
    if not record["neighbours"]:
        return ""
    state = "free of the offset" if around > 0 else "with the offset in"
    return f"; by {len(record['neighbours'])} neighbouring dates it is {state} (log odds {around:+.1f})"


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
