"""An answer of a service as a whole: asked again when the service fails, never half."""

from __future__ import annotations

import time
from http.client import HTTPException

ATTEMPTS = 4
WAIT = 2.0  # s before the second attempt, doubled before each further one
TIMEOUT = 60.0  # s without a byte


def answer(address: str, *, attempts: int = ATTEMPTS, wait: float = WAIT, timeout: float = TIMEOUT) -> bytes:
    """The bytes at an address.

    Args:
        address: `https://...` or `http://...`.
        attempts: how often it is asked in all; errors of the request itself (4xx) are not repeated.
        wait: s before the second attempt, doubled before each further one.
        timeout: s without a byte after which an attempt has failed.

    Raises:
        ValueError: the service refuses, or failed every time; names the address and the last reason.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    reason = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            with urlopen(address, timeout=timeout) as response:
                content, announced = response.read(), response.headers.get("Content-Length")
            if announced is None or len(content) == int(announced):
                return content
            reason = f"{len(content)} of {announced} bytes"
        except HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code < 500:
                raise ValueError(f"{address} was refused ({reason}); check the address, or obtain the file by hand") from error
        except (URLError, HTTPException, OSError) as error:
            reason = str(error) or type(error).__name__
    raise ValueError(f"{address} did not answer in {attempts} attempts ({reason}); try again later, or obtain the file by hand")
