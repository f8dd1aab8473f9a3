"""Linear calibration of a vegetation index at 10 m to the fapar, or the same index, that towers were fitted with, and its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CalibrationLine:
    """`fapar = offset + slope * index`, between `lowest` and `highest`; or, in place of fapar, the same index of another instrument.

    Attributes:
        offset: fapar at index 0 [1].
        slope: fapar per unit of the index [1].
        offset_sd: standard deviation of `offset` [1].
        slope_sd: standard deviation of `slope` [1].
        correlation: correlation of the two errors [1].
        residual_sd: scatter of seasons around the line [1], between places or weeks, which no line removes.
        highest: upper limit of fapar [1].
        lowest: lower limit [1].
        source: source of the coefficients.
    """

    offset: float
    slope: float
    offset_sd: float = 0.0
    slope_sd: float = 0.0
    correlation: float = 0.0
    residual_sd: float = 0.0
    highest: float = 0.95
    lowest: float = 0.0
    source: str = ""

    __pydantic_config__ = {"extra": "forbid"}  # where the catalog reads a line

    def applied(self, index: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`fapar` and its standard deviation, without the error of the line itself, float32.

        Args:
            index: any shape [1].
            sd: standard deviation of the index [1].

        >>> fapar, sd = CalibrationLine(-0.2, 1.25).applied(np.array([0.8, 0.1]), np.array([0.04, 0.04]))
        >>> fapar.astype(float).round(3).tolist(), sd.astype(float).round(3).tolist()
        ([0.8, 0.0], [0.05, 0.05])
        """
        fapar = np.clip(self.offset + self.slope * index, self.lowest, self.highest)
        return fapar.astype(np.float32), np.hypot(self.slope * sd, self.residual_sd).astype(np.float32)

    def relative(self) -> dict[str, float]:
        """Error of the line in terms of fapar: `(1 + slope_sd z) fapar + offset_sd z'`, with the correlation of the two.

        offset + slope * index = offset + slope / slope0 * (fapar - offset0), so an error of the slope is one of fapar times
        `slope_sd / slope` and one of the offset times `-offset0 slope_sd / slope`.
        """
        slope = self.slope_sd / abs(self.slope)
        turned = -self.offset * slope
        covariance = self.correlation * self.offset_sd * self.slope_sd / self.slope
        offset_variance = self.offset_sd**2 + turned**2 - 2 * self.offset * covariance
        offset = float(np.sqrt(max(offset_variance, 0.0)))
        joint = covariance - self.offset * slope**2
        return {"offset_sd": offset, "slope_sd": slope, "correlation": joint / (offset * slope) if offset * slope > 0 else 0.0}


ALL = "all"
"""Key of the line of all plant types without a line of their own."""
IDENTITY = CalibrationLine(0.0, 1.0, highest=1.0, source="the index is fapar")
"""For an index that is fapar already."""
