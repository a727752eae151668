"""The named formats said a second time, with Python's own modules and by hand: no pattern of the engine."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from urllib.parse import urlsplit

DIGITS = set("0123456789")
LETTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
#: A few codes of each list, and some that only look like one.
CODES = {
    "iso_country": {"SE", "GB", "AX", "XK", "UK", "EU", "se", "SWE"},
    "iso_currency": {"EUR", "SEK", "XAU", "HRK", "DEM", "eur", "EURO"},
    "iso_language": {"sv", "en", "he", "iw", "sh", "SV", "swe"},
}
#: Those of all texts here that are codes.
REAL = {
    "iso_country": {"SE", "GB", "AX", "SV"},
    "iso_currency": {"EUR", "SEK", "XAU"},
    "iso_language": {"sv", "en", "he", "se"},
}


def has(text: str, name: str) -> bool:
    """Whether a text has a format."""
    if name in CODES:
        return text in REAL[name]
    try:
        return CHECKS[name](text)
    except ValueError:
        return False


def _ip(version: int) -> Callable[[str], bool]:
    return lambda text: "%" not in text and ipaddress.ip_address(text).version == version


def _cidr(text: str) -> bool:
    address, slash, width = text.partition("/")
    # Python takes 08 and a netmask for a width
    plain = width.isascii() and width.isdigit() and str(int(width)) == width
    return bool(slash) and "%" not in address and plain and ipaddress.ip_interface(text) is not None


def _is_label(text: str) -> bool:
    signs = set(text) <= LETTERS | DIGITS | {"-"}
    return signs and 1 <= len(text) <= 63 and "-" not in (text[0], text[-1])


def _host(text: str) -> bool:
    return len(text) <= 253 and all(_is_label(label) for label in text.split("."))


def _email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    local_signs = LETTERS | DIGITS | set(".!#$%&'*+/=?^_`{|}~-")
    right_length = bool(at) and 1 <= len(local) <= 64 and len(text) <= 254
    return right_length and set(local) <= local_signs and "." in domain and _host(domain)


def _url(text: str) -> bool:
    if re.search(r"\s", text) or not re.match("(?i:https?|ftp)://", text):
        return False
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    if host.startswith("["):
        return "]" in host and ipaddress.IPv6Address(host[1 : host.index("]")]) is not None
    name, colon, port = host.partition(":")
    return _host(name) and (not colon or (1 <= len(port) <= 5 and set(port) <= DIGITS))


def _uuid(text: str) -> bool:
    return str(uuid.UUID(text)) == text.lower()


def _grouped(text: str, signs: str) -> str:
    return "".join(sign for sign in text if sign not in signs)


def _phone(text: str) -> bool:
    digits = _grouped(text[1:], " ().-")
    return text[:1] == "+" and set(digits) <= DIGITS and 7 <= len(digits) <= 15 and text[1:2] in set("123456789")


def _card(text: str) -> bool:
    digits = _grouped(text, " -")
    if not set(digits) <= DIGITS or not 12 <= len(digits) <= 19 or re.search("[ -]{2}|^[ -]|[ -]$", text):
        return False
    doubled = [int(d) * (1 + index % 2) for index, d in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _number(text: str, *, fraction: bool) -> bool:
    whole, point, part = text.removeprefix("+" if text[:1] == "+" else "-").partition(".")
    right = bool(whole) and set(whole) <= DIGITS
    return right and (not point or (fraction and bool(part) and set(part) <= DIGITS))


def _dated(form: str) -> Callable[[str], bool]:
    return lambda text: len(text) == 10 and datetime.strptime(text, form).year > 0  # noqa: DTZ007


def _time(text: str) -> bool:
    parts = re.fullmatch(r"(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?", text, re.ASCII)
    return parts is not None and all(int(p or 0) < most for p, most in zip(parts.groups(), (24, 60, 60), strict=True))


def _timestamp(text: str) -> bool:
    zone = re.search(r"(Z|[+-]\d\d:[0-5]\d)$", text, re.ASCII)
    clock = text[11 : zone.start()] if zone else text[11:]
    offset = not zone or zone[1] == "Z" or int(zone[1][1:3]) <= 18
    return text[10:11] in ("T", " ") and date.fromisoformat(text[:10]) is not None and _time(clock) and offset


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "email": _email,
    "url": _url,
    "hostname": _host,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "ip": lambda text: "%" not in text and ipaddress.ip_address(text) is not None,
    "cidr": _cidr,
    "mac": lambda text: any(
        len(text) == 17 and all(len(p) == 2 and set(p) <= set("0123456789abcdefABCDEF") for p in text.split(sign))
        for sign in ":-"
    ),
    "uuid": _uuid,
    "phone": _phone,
    "card_number": _card,
    "integer": lambda text: _number(text, fraction=False),
    "decimal": lambda text: _number(text, fraction=True),
    "percentage": lambda text: text[-1:] == "%" and _number(text[:-1].removesuffix(" "), fraction=True),
    "date": _dated("%Y-%m-%d"),
    "date_us": _dated("%m/%d/%Y"),
    "date_eu": lambda text: any(has_date(text, form) for form in ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y")),
    "time": _time,
    "timestamp": _timestamp,
}


def has_date(text: str, form: str) -> bool:
    try:
        return _dated(form)(text)
    except ValueError:
        return False


#: For every format texts that have it and texts that nearly do.
TEXTS: tuple[str, ...] = (
    *("a@b.example", "first.last+tag@sub.domain.example", "a@b", "@b.example", "a@-b.example", "a b@c.example", "a@b.example\n", "ä@b.example", "a" * 65 + "@b.example", "a@" + "b." * 130 + "example"),
    *("http://a.example", "https://user:pw@a.example:8080/x?y=1#z", "ftp://[2001:db8::1]/f", "http://", "http:/a", "HTTP://A.EXAMPLE", "javascript:alert(1)", "http://a b.example", "http://a.example:99999x", "https://127.0.0.1/x", "http://a..b"),
    *("0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4.5", "1.2.3.4\n", "10.0.0.0/8", "10.1.2.3/33", "10.1.2.3/08", "10.1.2.3/255.0.0.0"),
    *("::", "::1", "1::", "2001:db8::ff00:42:8329", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::ffff:192.0.2.1", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "12345::", "fe80::1%eth0", "2001:db8::/32", "::/129", "::/0", "1::3:4:5:6:7:8", "1:2::4:5:6:7:8"),
    *("00:1B:44:11:3a:b7", "00-1B-44-11-3a-b7", "00:1B-44:11:3a:b7", "00:1B:44:11:3a", "g0:1B:44:11:3a:b7"),
    *("123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}"),
    *(code for codes in CODES.values() for code in sorted(codes)),
    *("+46 8 123 456 78", "+14155552671", "0046812345678", "+0123456789", "+123456", "+1 (415) 555-2671", "+1234567890123456", "+46  (0)8123456"),
    *("4111 1111 1111 1111", "4111111111111112", "5500-0000-0000-0004", "378282246310005", "0", "4111--1111-1111-1111", "000000000000"),
    *("1", "-12", "+3", "1.5", ".5", "1.", "1e3", "--1", "١", "12%", "12.5 %", "%", "1 2%", ""),
    *("2024-02-29", "2023-02-29", "2024-2-9", "02/29/2024", "29/02/2024", "29.02.2024", "31-04-2024", "2024-02-29x", "13/01/2024", "1.2.2024"),
    *("23:59", "24:00", "09:05:07", "09:05:07.123456789", "9:05", "09:60", "2024-02-29T23:59:59Z", "2024-02-29 23:59", "2023-02-29T10:00", "2024-02-29T10:00+02:00", "2024-02-29T10:00+19:00", "2024-02-29T", "2024-02-29T10:00:00.5-05:30"),
)  # fmt: skip
