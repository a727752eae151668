"""What plain Spark needs to read the rows, and to write them again: nobody who splits them can do with less than `copy`."""

from __future__ import annotations

from pathlib import Path

from contenders import Contender


class Engine(Contender):
    """No rules at all."""

    title = "plain Spark"

    def nothing(self, data: str) -> None:
        """A job, the least there is: Spark is there when it has done one."""
        self.spark.range(1).count()

    def read(self, data: str) -> None:
        """Every column of every row, and nothing done with it."""
        self.frame(data).write.format("noop").mode("overwrite").save()

    def copy(self, data: str, folder: Path) -> None:
        """Every row into Parquet files."""
        self.frame(data).write.mode("overwrite").parquet(str(folder / "copy"))
