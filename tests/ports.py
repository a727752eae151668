"""Ports for servers of tests."""

from __future__ import annotations

import random
import socket
from contextlib import closing
from pathlib import Path

#: Where Linux says from which port on it gives them to whoever connects.
_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, below those that connections are given: one that was free a second ago is free now."""
    draw, found = random.SystemRandom(), list[int]()
    while len(found) < count:
        port = draw.randrange(10_000, _first_given_away())
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _first_given_away() -> int:
    try:
        first = int(_GIVEN_AWAY.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 0
    return first if first >= 12_000 else 32_768


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as one:
        # as servers do: what was closed a moment ago is no obstacle
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
