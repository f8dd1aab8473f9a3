"""Addresses that a STAC source may lead to: of the schemes and hosts that it declares, also after a redirection."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hybridflux.addresses import check_address, host_of, redacted
from hybridflux.data.catalog import Service
from hybridflux.data.network import follow

HOSTS = "HYBRIDFLUX_HOSTS"
"""Variable of the environment: names or patterns of hosts, separated by commas, that services may lead to besides their own."""


@dataclass(frozen=True)
class Access:
    """Addresses of a source that may be opened.

    Attributes:
        source: name of the service or file, for messages, without secrets.
        schemes: some of `https http s3 file`.
        hosts: patterns of names of hosts and buckets.
    """

    source: str
    schemes: tuple[str, ...]
    hosts: tuple[str, ...]

    @classmethod
    def of_service(cls, service: Service) -> Access:
        """Addresses that a service declares: its own host, the hosts of its files, and those that the user allows in `HYBRIDFLUX_HOSTS`."""
        trusted = tuple(host.strip() for host in os.environ.get(HOSTS, "").split(",") if host.strip())
        schemes = dict.fromkeys((*service.schemes, "http" if service.url.startswith("http://") else "https"))
        return cls(redacted(f"service {service.name}"), tuple(schemes), (host_of(service.url), *service.hosts, *trusted))

    @classmethod
    def of_file(cls, path: Path) -> Access:
        """A file that the user names may lead to any host, and to other files."""
        return cls(str(path), ("https", "http", "s3", "file"), ("*",))

    def check(self, address: str) -> None:
        """Refuse an address that the source does not declare.

        Raises:
            Refused: another scheme or host, or a virtual file system of GDAL.
        """
        check_address(address, self.schemes, self.hosts, self.source)

    def check_redirections(self, address: str) -> None:
        """Refuse an address whose server redirects elsewhere; tested once in a process, and only where hosts are limited.

        GDAL follows redirections itself and has no setting to forbid addresses. Later redirections are not tested here; GDAL
        follows them by HTTP and FTP only, never to files (libcurl's protocols of redirections).

        Raises:
            Refused: the redirection leaves the hosts of the source.
        """
        if "*" not in self.hosts and address.startswith(("https://", "http://")):
            _followed(self, address)


@cache
def _followed(access: Access, address: str) -> None:
    follow(address, access.check)
