"""Water vapour of the air: saturation pressure and its deficit."""

from __future__ import annotations

import numpy as np

_DRIEST, _WETTEST = 0.08, 1.15  # mean relative humidity; deserts have 0.2 in the mean of a summer, a factor of 10 is another unit


def saturation_pressure(temperature):
    """Saturation vapour pressure over water [hPa]; Magnus form with the coefficients of Allen et al. 1998 (FAO-56), equation 11.

    Args:
        temperature: temperature of the air [degC], any shape.

    >>> round(float(saturation_pressure(20.0)), 2)  # FAO-56 table 2.3: 2.338 kPa
    23.38
    """
    temperature = np.asarray(temperature)
    return 6.108 * np.exp(17.27 * temperature / (temperature + 237.3))


def vpd_of_dewpoint(temperature, dewpoint):
    """Vapour pressure deficit at one moment [hPa]: saturation at the temperature less that at the dew point; FAO-56 equation 14.

    Args:
        temperature: temperature of the air [degC].
        dewpoint: dew point [degC]; above `temperature` it counts as saturated.
    """
    return np.maximum(saturation_pressure(temperature) - saturation_pressure(dewpoint), 0.0)


def vpd_of_extremes(coldest, warmest, vapour):
    """Vapour pressure deficit of a day [hPa] from its temperature extremes; FAO-56 equation 12 less the actual pressure.

    The mean over the two extremes is nearer the mean of the hours than the saturation pressure at the mean temperature, which is too low.

    Args:
        coldest: lowest temperature of the day [degC].
        warmest: highest temperature of the day [degC].
        vapour: mean vapour pressure [hPa].
    """
    return np.maximum(0.5 * (saturation_pressure(warmest) + saturation_pressure(coldest)) - vapour, 0.0)


def vpd_of_humidity(coldest, warmest, humidity):
    """Vapour pressure deficit of a day [hPa] from its temperature extremes and mean relative humidity; FAO-56 equations 12 and 19.

    Args:
        coldest: lowest temperature of the day [degC].
        warmest: highest temperature of the day [degC].
        humidity: mean relative humidity [1].
    """
    mean = 0.5 * (saturation_pressure(warmest) + saturation_pressure(coldest))
    return np.maximum(mean * (1.0 - humidity), 0.0)


def check_vapour(vapour, temperature, where: str) -> None:
    """Refuse a vapour pressure that cannot belong to the temperature.

    Args:
        vapour: vapour pressure [hPa].
        temperature: mean temperature of the same days [degC].
        where: file and variable, for the message.

    Raises:
        ValueError: the air would be far above saturation or drier than anywhere; another unit is likely.
    """
    humidity = float(np.nanmean(vapour) / np.nanmean(saturation_pressure(temperature)))
    if not _DRIEST <= humidity <= _WETTEST:
        likely = "Pa" if humidity > 1 else "kPa"
        raise ValueError(
            f"{where}: a mean vapour pressure of {float(np.nanmean(vapour)):.3g} makes a relative humidity of {humidity:.0%} at these "
            f"temperatures; it is perhaps in {likely}: set `units` of the band in the catalog"
        )


def check_humidity(humidity, where: str) -> None:
    """Refuse a relative humidity that no place has.

    Args:
        humidity: relative humidity [1].
        where: file and variable, for the message.

    Raises:
        ValueError: its mean is lower than anywhere, or far above saturation: a fraction was read as per cent, or per cent as a fraction.
    """
    mean = float(np.nanmean(humidity))
    if not _DRIEST <= mean <= _WETTEST:
        likely = "a fraction (0 to 1)" if mean < 1 else "per cent (0 to 100)"
        raise ValueError(f"{where}: mean relative humidity would be {mean:.2%}; the file is perhaps in {likely}: set `units` of the band")
