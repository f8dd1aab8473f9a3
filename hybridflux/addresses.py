"""Addresses: which may be opened, and what of them may be written down.

Stores, records and messages are shared; the signature or the password in an address is a key. What is written goes through `redacted`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

from hybridflux.limits import Refused, shown

HIDDEN = "REDACTED"
_SECRET = (
    r"sig|se|sp|sv|sr|st|spr|skoid|sktid|skt|ske|sks|skv|sas|sastoken"  # shared access signatures of Azure
    r"|x-(?:amz|goog)-[\w-]+|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires"  # signed addresses of object stores
    r"|[\w.-]*(?:token|api[_-]?key|secret|password|passwd|pwd|credential|session)[\w-]*|key|auth|authorization|code"
)
_ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,15}://)(?P<rest>[^\s\"'<>`{}|\\^]+)", re.IGNORECASE)
_PARAMETER = re.compile(rf"(?P<lead>[?&;]|%3F|%26)(?P<name>{_SECRET})(?P<is>=|%3D)(?P<value>[^&;#\s\"'<>`)\]]*)", re.IGNORECASE)
_LOOSE = re.compile(
    r"(?P<name>\b(?:sig|x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature)=)[^&;#\s\"'<>`)\]]+", re.IGNORECASE
)
_HEADER = re.compile(r"(?P<name>\b(?:authorization|proxy-authorization)\s*[:=]\s*(?:basic|bearer)?\s*)[\w+/=._~-]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """A text whose addresses keep place and name, without user, password, signature or token.

    >>> redacted("https://me:pw@host/a.tif?sig=abc%2F&b=1 failed")
    'https://REDACTED@host/a.tif?sig=REDACTED&b=1 failed'
    >>> redacted("band B04 at 12:30, see a@b.org")
    'band B04 at 12:30, see a@b.org'
    """
    text = _ADDRESS.sub(_without_user, text)
    text = _PARAMETER.sub(lambda found: f"{found['lead']}{found['name']}{found['is']}{HIDDEN}", text)
    text = _LOOSE.sub(lambda found: found["name"] + HIDDEN, text)
    return _HEADER.sub(lambda found: found["name"] + HIDDEN, text)


def without_secrets(record):
    """A JSON-ready record, all its texts `redacted`; other values as they are.

    >>> without_secrets({"place": ["https://u:p@h/x", 3]})
    {'place': ['https://REDACTED@h/x', 3]}
    """
    if isinstance(record, str):
        return redacted(record)
    if isinstance(record, Mapping):
        return {key: without_secrets(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return type(record)(without_secrets(value) for value in record) if type(record) in (list, tuple) else record
    return record


def _without_user(found: re.Match) -> str:
    rest = found["rest"]
    authority, mark, path = re.findall(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL)[0]
    user, at, host = authority.rpartition("@")
    return found["scheme"] + (f"{HIDDEN}@{host}" if at and user else authority) + mark + path


def host_of(address: str) -> str:
    """Name of the machine of an address, small letters, without user and port; the bucket for `s3://`."""
    return (urlsplit(address).hostname or "").rstrip(".").lower()


def is_allowed(host: str, hosts: Iterable[str]) -> bool:
    """Whether a host is one of some patterns: `*` stands for anything, `*.org.net` for every machine below it.

    >>> is_allowed("a.blob.core.windows.net", ["*.blob.core.windows.net"]), is_allowed("blob.core.windows.net.evil.org", ["*.windows.net"])
    (True, False)
    """
    return any(fnmatchcase(host, pattern.lower()) for pattern in hosts)


def check_address(address: str, schemes: Iterable[str], hosts: Iterable[str], source: str) -> None:
    """Refuse an address that a source does not declare.

    Args:
        address: as a service or an item gives it; a path counts as `file`.
        schemes: that may be, of `https http s3 file`.
        hosts: patterns of names of machines, `*` for any; not asked for a path.
        source: the service or the file, for the message.

    Raises:
        Refused: another scheme or host, or a virtual file system of GDAL; names the address, without secrets, and the cure.
    """
    seen = shown(redacted(address))
    scheme = urlsplit(address).scheme.lower() if "://" in address or re.match(r"[a-z]{2,}:", address, re.IGNORECASE) else "file"
    if "/vsi" in unquote(address).lower() or any(sign in address for sign in "\n\r\0"):
        raise Refused(
            f"{source} gives the address {seen}, which goes through a virtual file system of GDAL or holds control characters; it is not "
            "opened"
        )
    if scheme not in schemes:
        raise Refused(
            f"{source} gives the address {seen}; only {', '.join(schemes)} may be read from there. If that is right, declare `schemes` of "
            "the service in the data catalog"
        )
    if scheme != "file" and not is_allowed(host_of(address), hosts):
        raise Refused(
            f"{source} gives the address {seen}; its host {host_of(address) or '(none)'} is none of those the source declares "
            f"({', '.join(hosts) or 'none'}). If you trust it, set HYBRIDFLUX_HOSTS={host_of(address)} in the environment, or declare it "
            "in `hosts` of the service in the data catalog"
        )
