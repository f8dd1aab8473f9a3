"""Retries of requests to servers, and the same settings for GDAL."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from hybridflux.addresses import host_of, redacted
from hybridflux.limits import ANSWER, Refused, shown

Result = TypeVar("Result")


@dataclass(frozen=True)
class Patience:
    """Retries and time limits of requests.

    They follow the environment variables of GDAL, so that one setting serves images and searches.

    Attributes:
        repeats: number of tries after the first one (`GDAL_HTTP_MAX_RETRY`).
        pause: time before the first repetition, doubled each time [s] (`GDAL_HTTP_RETRY_DELAY`).
        answer: longest wait for one answer [s] (`GDAL_HTTP_TIMEOUT`).
        connect: longest wait for a connection [s] (`GDAL_HTTP_CONNECTTIMEOUT`).
    """

    repeats: int = 5
    pause: float = 1.0
    answer: float = 60.0
    connect: float = 15.0

    @classmethod
    def from_environment(cls) -> Patience:
        """Retries and limits of the environment."""
        asked = {field: os.environ.get(variable) for field, variable in _VARIABLES.items()}
        given: dict[str, Any] = {field: (int if field == "repeats" else float)(text) for field, text in asked.items() if text}
        return cls(**given)

    def gdal(self) -> dict[str, str]:
        """Options of GDAL: retries, and no search for neighbouring files, which object stores and web servers do not have.

        GDAL repeats a request after the answers 429, 500, 502, 503 and 504, a stall or a lost connection (its page on network
        file systems, `GDAL_HTTP_RETRY_CODES`). Variables that the environment sets are kept.
        """
        options = {
            "GDAL_HTTP_MAX_RETRY": str(self.repeats),
            "GDAL_HTTP_RETRY_DELAY": str(self.pause),
            "GDAL_HTTP_TIMEOUT": str(self.answer),
            "GDAL_HTTP_CONNECTTIMEOUT": str(self.connect),
            "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
            "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        }
        return {name: value for name, value in options.items() if name not in os.environ}

    def tries(self) -> Iterator[int]:
        """Number of each try, from 1; waits before all but the first, each time twice as long."""
        for done in range(self.repeats + 1):
            if done:
                time.sleep(self.pause * 2 ** (done - 1))
            yield done + 1


_VARIABLES = {
    "repeats": "GDAL_HTTP_MAX_RETRY",
    "pause": "GDAL_HTTP_RETRY_DELAY",
    "answer": "GDAL_HTTP_TIMEOUT",
    "connect": "GDAL_HTTP_CONNECTTIMEOUT",
}


def passing(status: int | None) -> bool:
    """Whether a failure may be temporary: no answer at all, too many requests, or a fault of the server."""
    return status is None or status == 429 or status >= 500


def persist(action: Callable[[], Result], address: str, failure: type[Exception], status: Callable[[Exception], int | None]) -> Result:
    """Result of an action, repeated while its failures may be temporary.

    Args:
        action: one request, or several.
        address: address for the message.
        failure: exception by which the action fails.
        status: HTTP status of such an exception, None where there was no answer.

    Raises:
        ConnectionError: all tries failed; names the address and the number of tries.
    """
    for tried in Patience.from_environment().tries():
        try:
            return action()
        except failure as error:
            last, made = error, tried
            if not passing(status(error)):
                break
    raise ConnectionError(
        f"{redacted(address)} failed, {made} tries, the last with: {shown(redacted(str(last))) or type(last).__name__}. "
        "Check address, access and network, or run again later; GDAL_HTTP_MAX_RETRY and GDAL_HTTP_TIMEOUT in the environment set "
        "retries and time limit"
    ) from last


def answer(address: str) -> bytes:
    """The bytes at an address `https://...` or `http://...`, all of them; redirections stay at its host.

    Raises:
        ConnectionError: the server refuses, or all tries fail.
        Refused: the answer is larger than `HYBRIDFLUX_LIMIT_ANSWER`, or the server sends readers to another host.
    """
    return persist(lambda: _whole(address), address, OSError, lambda error: getattr(error, "code", None))


def follow(address: str, check: Callable[[str], None]) -> None:
    """Follow the redirections of an address without reading it; the answer at their end does not matter.

    Args:
        address: `https://...` or `http://...`.
        check: raises for an address that may not be read.
    """
    try:
        _opener(check).open(Request(address, method="HEAD"), timeout=Patience.from_environment().answer).close()
    except HTTPError as error:
        error.close()
    except (URLError, OSError, HTTPException):
        return  # reading it reports the failure, and repeats the request


def _whole(address: str) -> bytes:
    try:
        with _opener(_same_host(address)).open(address, timeout=Patience.from_environment().answer) as response:
            content = response.read(ANSWER.value + 1)
            if len(content) > ANSWER.value:
                raise Refused(ANSWER.passed(redacted(address)))
            if response.length:  # `read` with a size does not report it
                raise IncompleteRead(content, response.length)
            return content
    except HTTPError as error:
        error.close()
        raise
    except HTTPException as error:  # broken off, which is no OSError
        raise OSError(f"the answer broke off: {error!r}") from error


class _Redirections(HTTPRedirectHandler):
    """Redirections to where a check allows them."""

    def __init__(self, check: Callable[[str], None]):
        self.check = check

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        self.check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(check: Callable[[str], None]):
    return build_opener(_Redirections(check))


def _same_host(address: str) -> Callable[[str], None]:
    def check(other: str) -> None:
        if host_of(other) != host_of(address) or (urlsplit(address).scheme, urlsplit(other).scheme) == ("https", "http"):
            raise Refused(
                f"{shown(redacted(address))} sends readers to {shown(redacted(other))}, another host or without encryption; "
                "that is not followed"
            )

    return check
