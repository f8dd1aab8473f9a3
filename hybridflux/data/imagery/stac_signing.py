"""Signed addresses of the Planetary Computer: its storage answers only to addresses with the token of a container."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from hybridflux.data.network import answer

TOKENS = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
"""Address of tokens without an account: planetarycomputer.microsoft.com/docs/concepts/sas."""
_STORAGE = ".blob.core.windows.net"
_MARGIN = timedelta(minutes=5)  # before the end of a token at which a new one is requested: longer than reading a tile takes

_known: dict[str, tuple[str, datetime]] = {}


def signed(href: str) -> str:
    """An address with the token of its container; other addresses, and those that carry a token already, as they are.

    Raises:
        ConnectionError: the service gives no token.
    """
    parts = urlsplit(href)
    if not parts.netloc.endswith(_STORAGE) or "sig=" in parts.query:
        return href
    account, container = parts.netloc.removesuffix(_STORAGE), parts.path.split("/")[1]
    return f"{href}{'&' if parts.query else '?'}{_token(f'{TOKENS}/{account}/{container}')}"


def _token(address: str) -> str:
    token, end = _known.get(address, ("", None))
    if end is None or end < datetime.now(UTC) + _MARGIN:
        given = json.loads(answer(address))
        token, end = given["token"], datetime.fromisoformat(given["msft:expiry"])
        _known[address] = (token, end)
    return token
