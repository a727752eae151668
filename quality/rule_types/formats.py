"""Named formats: what a text must be to be an address, a code, a number or a date, as a predicate of Spark SQL.

Each is a regular expression over the whole text, and more where a pattern does not tell: a calendar, a check digit, a list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quality.errors import did_you_mean
from quality.rule_types import iso
from quality.rule_types.args import COLUMN, Kind, arg, parse_text, shown
from quality.rule_types.base import Row, RowRule
from quality.rule_types.patterns import whole_match
from quality.sql import literal

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16 = "[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """RFC 4291, as the grammar of RFC 3986 spells it: `::` stands for what is missing of eight groups."""
    last = f"(?:{_H16}:{_H16}|{_IPV4})"
    forms = [f"(?:{_H16}:){{6}}{last}", f"::(?:{_H16}:){{5}}{last}"]
    forms += [f"(?:(?:{_H16}:){{0,{n}}}{_H16})?::(?:{_H16}:){{{4 - n}}}{last}" for n in range(5)]
    forms += [f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}", f"(?:(?:{_H16}:){{0,6}}{_H16})?::"]
    return f"(?:{'|'.join(forms)})"


_IPV6 = _ipv6()
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?=.{{1,253}}(?:\z|[:/?#])){_LABEL}(?:\.{_LABEL})*+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})+"
_EMAIL = rf"(?=.{{3,254}}\z)[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_DOMAIN}"
_URL = rf"(?i:https?|ftp)://(?:[^\s/?#@]+@)?(?:\[{_IPV6}\]|{_HOST})(?::[0-9]{{1,5}})?(?:[/?#]\S*)?"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-8]):[0-5][0-9])?"

#: Predicate over the SQL of a text.
Format = Callable[[str], str]


def _pattern(pattern: str) -> Format:
    return lambda text: whole_match(text, pattern)


def _listed(codes: tuple[str, ...]) -> Format:
    members = ", ".join(literal(code) for code in codes)
    return lambda text: f"{text} in ({members})"


def _calendar(pattern: str, order: str) -> Format:
    """A date whose parts are the groups of a pattern; the calendar says whether there is such a day."""

    def predicate(text: str) -> str:
        iso_text = (
            f"regexp_replace({text}, {literal(chr(92) + 'A' + pattern + '.*' + chr(92) + 'z')}, {literal(order)})"
        )
        return f"{whole_match(text, pattern)} and try_cast({iso_text} as date) is not null"

    return predicate


def _date_time(text: str) -> str:
    pattern = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_TIME}{_ZONE}"
    return f"{whole_match(text, pattern)} and try_cast(left({text}, 10) as date) is not null"


def _card_number(text: str) -> str:
    digits = f"regexp_replace({text}, '[ -]', '')"
    return f"{whole_match(text, '[0-9](?:[ -]?[0-9]){11,18}')} and luhn_check({digits})"


FORMATS: dict[str, Format] = {
    "email": _pattern(_EMAIL),
    "url": _pattern(_URL),
    "hostname": _pattern(rf"(?=.{{1,253}}\z){_LABEL}(?:\.{_LABEL})*"),
    "ipv4": _pattern(_IPV4),
    "ipv6": _pattern(_IPV6),
    "ip": _pattern(f"(?:{_IPV4}|{_IPV6})"),
    "cidr": _pattern(f"(?:{_IPV4}/(?:3[0-2]|[12]?[0-9])|{_IPV6}/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))"),
    "mac": _pattern("[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})"),
    "uuid": _pattern("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "iso_country": _listed(iso.COUNTRIES),
    "iso_currency": _listed(iso.CURRENCIES),
    "iso_language": _listed(iso.LANGUAGES),
    "phone": _pattern(r"\+[1-9](?:[ ().-]{0,3}[0-9]){6,14}"),
    "card_number": _card_number,
    "integer": _pattern("[+-]?[0-9]+"),
    "decimal": _pattern(r"[+-]?[0-9]+(?:\.[0-9]+)?"),
    "percentage": _pattern(r"[+-]?[0-9]+(?:\.[0-9]+)? ?%"),
    "date": _calendar("([0-9]{4})-([0-9]{2})-([0-9]{2})", "$1-$2-$3"),
    "date_us": _calendar("([0-9]{2})/([0-9]{2})/([0-9]{4})", "$3-$1-$2"),
    "date_eu": _calendar(r"([0-9]{2})[./-]([0-9]{2})[./-]([0-9]{4})", "$3-$2-$1"),
    "time": _pattern(_TIME),
    "timestamp": _date_time,
}


def _parse_format(value: object) -> str:
    name = parse_text(value)
    if name.lower() == "json":
        raise ValueError("has no 'json': that is a rule type of its own, 'json'")
    if name not in FORMATS:
        raise ValueError(f"is not a format: {shown(name)}; {did_you_mean(name, FORMATS, 'formats')}")
    return name


FORMAT = Kind(_parse_format, {"enum": list(FORMATS)})


@dataclass(frozen=True)
class FormatRule(RowRule):
    """The whole value has a named format; values that are not text are looked at as their text. `email` (as HTML has it,
    with a dot in the domain), `url` (http, https, ftp), `hostname`, `ipv4`, `ipv6`, `ip` (either), `cidr` (host bits may
    be set), `mac`, `uuid`, `iso_country` (ISO 3166-1 alpha-2), `iso_currency` (ISO 4217), `iso_language` (ISO 639-1),
    all in the case the norm writes them; `phone` (E.164 with its plus; blanks, dots, hyphens and brackets may group it),
    `card_number` (12 to 19 digits, blanks and hyphens between, check digit by Luhn), `integer`, `decimal`, `percentage`,
    `date` (YYYY-MM-DD), `date_us` (MM/DD/YYYY), `date_eu` (DD.MM.YYYY, also with / and -), `time` (HH:MM, seconds and
    fractions allowed), `timestamp` (date, T or a blank, time, zone or none). Digits are ASCII's; days must exist."""

    column: str = arg(COLUMN, "the column")
    is_: str = arg(FORMAT, "the name of the format")

    type = "format"
    main = "is"
    example = "format: {column: contact, is: email}"

    def predicate(self, row: Row) -> str:
        """The predicate of the format over the text."""
        return FORMATS[self.is_](row.text(self.column))

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must have the format {self.is_}"
