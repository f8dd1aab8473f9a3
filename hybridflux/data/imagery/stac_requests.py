"""Requests of a search, and links of a catalog on disk: limited to allowed addresses and to the size limit."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import pystac
from pystac.stac_io import DefaultStacIO
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from requests import Response, Session

from hybridflux.addresses import redacted
from hybridflux.data.imagery.stac_access import Access
from hybridflux.data.network import answer
from hybridflux.limits import ANSWER, METADATA, Refused


class Searcher(StacApiIO):
    """Requests of a search, limited to the hosts of the service and to the size limit."""

    def __init__(self, access: Access, timeout: tuple[float, float]):
        super().__init__(timeout=timeout, max_retries=None)  # repeated as a whole by `persist`
        self.access = access
        self.session = _Session(access)

    def request(self, href: str, *args, **options) -> str:
        """The answer to a request; the search itself and every link of an answer use it."""
        self.access.check(href)
        try:
            return super().request(href, *args, **options)
        except APIError as error:
            if isinstance(error.__context__, Refused):
                raise error.__context__ from None
            raise

    def read_text(self, source, *args, **options) -> str:
        """As `request`, for addresses and links; files are refused, which a service must not name."""
        if not isinstance(source, pystac.Link):
            self.access.check(str(source))
        return super().read_text(source, *args, **options)


class _Session(Session):
    def __init__(self, access: Access):
        super().__init__()
        self.access = access

    def get_redirect_target(self, resp: Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            self.access.check(urljoin(resp.url, target))
        return target

    def send(self, request, **options) -> Response:
        response = super().send(request, **options | {"stream": True})
        parts, size = [], 0
        for part in response.iter_content(1 << 16):
            size += len(part)
            if size > ANSWER.value:
                response.close()
                raise Refused(ANSWER.passed(redacted(response.url)))
            parts.append(part)
        response._content = b"".join(parts)  # what `response.content` gives
        return response


class Linked(DefaultStacIO):
    """Linked files of a catalog on disk: other JSON on disk or at servers, up to the size limit."""

    def __init__(self, access: Access):
        self.access = access

    def read_text(self, source, *args, **options) -> str:
        """Content of an address or path."""
        address = str(source.get_absolute_href() if isinstance(source, pystac.Link) else source)
        self.access.check(address)
        if address.startswith(("http://", "https://")):
            return answer(address).decode("utf-8")
        path = Path(address.removeprefix("file://"))
        METADATA.check(path.stat().st_size, str(path))
        return path.read_text(encoding="utf-8")
