"""What all calls of a process share: its sockets for media and its DTLS certificate."""

from __future__ import annotations

import datetime

from .media.network import Network
from .media.parts import Certificate
from .media.udp import Hub

RENEW = datetime.timedelta(days=1)


class Host:
    """One for each process of bots; `network` says where its packets may go."""

    def __init__(self, network: Network | None = None) -> None:
        self.hub = Hub(network)
        self._certificate = Certificate.generateCertificate()

    @property
    def certificate(self) -> Certificate:
        """The certificate of calls that begin now, made anew before it expires."""
        left = self._certificate.expires - datetime.datetime.now(datetime.UTC)
        if left < RENEW:
            self._certificate = Certificate.generateCertificate()
        return self._certificate
