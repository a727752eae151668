"""Days that are known to be different, as a person wrote them down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

#: A holiday: the number of rows is not judged, nor learned from. An incident: the batch is not learned from. A release: from
#: here on things are different, and what moved is the new normal.
HOLIDAY, INCIDENT, RELEASE = "holiday", "incident", "release"
KINDS = (HOLIDAY, INCIDENT, RELEASE)


@dataclass(frozen=True)
class Event:
    """Something that happened from `first` to `last`, both included. `metrics` (names, or names with a column) limit an
    incident or a release to what it touched; none is all."""

    kind: str
    first: date
    last: date
    note: str = ""
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calendar:
    """All events; days are those of `timezone`."""

    events: tuple[Event, ...] = ()
    timezone: str = "UTC"

    def day(self, moment: datetime) -> date:
        """The day a batch is about."""
        return moment.astimezone(ZoneInfo(self.timezone)).date() if moment.tzinfo else moment.date()

    def on(self, moment: datetime, kind: str) -> list[Event]:
        """The events of a kind on a batch's day."""
        day = self.day(moment)
        return [event for event in self.events if event.kind == kind and event.first <= day <= event.last]

    def released(self, moments: Iterable[datetime]) -> list[list[Event]]:
        """For each batch, in order, the releases that it is the first to show."""
        found, before = [], None
        releases = [event for event in self.events if event.kind == RELEASE]
        for moment in moments:
            day = self.day(moment)
            found.append([e for e in releases if e.first <= day and before is not None and before < e.first])
            before = day
        return found
