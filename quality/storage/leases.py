"""Signs of life of a run, for those who remove what dead runs left.

A run id has the time of the run's start inside, and no run is collected within `GRACE` (24 hours) of its last sign of life:
that start, any file of it, or its lease. So the start is the first lease, and costs nothing. A run that lasts renews it
every hour from then on, in one small object, which it removes at its end. Nearly every run ends before it writes any.

Two dozen renewals may fail before anything could happen, so a failure is logged and never ends the run. What is left is a
driver that slept for a day (a laptop, a suspended machine) and wakes up to commit files that were collected meanwhile:
`confirm` looks for them first.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING

from quality.errors import QualityError, StorageError
from quality.storage.commit import DataFile, parse_utc, utc_text
from quality.storage.layout import lease_key, run_began
from quality.storage.store import Store

if TYPE_CHECKING:
    from typing_extensions import Self

LOG = logging.getLogger("quality")
#: How long after its last sign of life a run is taken for alive.
GRACE = timedelta(hours=24)
INTERVAL = timedelta(hours=1)
_SCHEMA = "quality.lease/1"
# the end of a run waits so long for a renewal that is under way, in seconds
_PATIENCE = 5.0


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(timezone.utc)


class Lease:
    """Says that a run is alive, from a thread of its own, while the block it opens lasts."""

    def __init__(
        self,
        store: Store,
        dataset: str,
        batch: str,
        run: str,
        *,
        interval: timedelta = INTERVAL,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.key = lease_key(dataset, batch, run)
        self._store, self._run, self._interval, self._clock = store, run, interval, clock
        self._last = run_began(run) or clock()
        self._written = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {run}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(_PATIENCE)
        if self._written:
            self._attempt("released", lambda: self._store.delete([self.key]))

    def renew(self) -> None:
        """Say that the run is alive. Never raises: a failure is logged."""
        moment = self._clock()
        words = {"schema": _SCHEMA, "run": self._run, "renewed": utc_text(moment)}
        if self._attempt("renewed", lambda: self._store.put(self.key, json.dumps(words).encode())):
            self._written, self._last = True, moment

    def confirm(self, files: Iterable[DataFile]) -> None:
        """Before the commit: raise StorageError when the run was silent for so long that its files were collected."""
        if self._clock() - self._last < GRACE / 2:
            return
        silent = self._clock() - self._last
        # the sign of life first: what is there after it stays
        self.renew()
        wanted = {file.path for file in files}
        folders = {path.rpartition("/")[0] for path in wanted}
        missing = sorted(wanted - {entry.key for folder in folders for entry in self._store.list(folder)})
        if missing:
            raise StorageError(
                f"{self._store.uri(missing[0])}: is gone: run {self._run} was silent for {silent.total_seconds() / 3600:.0f} "
                "hours (did the machine sleep?) and was taken for dead; nothing is published; run again"
            )

    def _keep(self) -> None:
        while not self._done.wait(self._interval.total_seconds()):
            self.renew()

    def _attempt(self, what: str, action: Callable[[], None]) -> bool:
        try:
            action()
        except QualityError as error:
            LOG.warning("the lease of run %s could not be %s: %s", self._run, what, error)
            return False
        except Exception:
            # a Spark that went away under a Hadoop store: the run has its own trouble then
            LOG.warning("the lease of run %s could not be %s", self._run, what, exc_info=True)
            return False
        return True


def renewed(store: Store, dataset: str, batch: str, run: str) -> datetime | None:
    """When the lease of a run was renewed last, by its driver's clock; None without a lease, or with half of one."""
    try:
        return parse_utc(json.loads(store.read(lease_key(dataset, batch, run)))["renewed"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
