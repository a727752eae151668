"""What the command `quality` can do, one module for each family of commands.

A module has `add_<command>(commands)`, which adds a parser; Spark is imported by the commands that need it, inside.
"""

from __future__ import annotations

from quality.commands.anomalies import add_anomalies
from quality.commands.collect import add_gc
from quality.commands.convert import add_convert
from quality.commands.history import add_history
from quality.commands.machine import add_demo, add_doctor, add_jars, add_paths
from quality.commands.profile import add_profile
from quality.commands.quarantine import add_quarantine
from quality.commands.redrive import add_redrive
from quality.commands.rules import add_lint, add_plan, add_rules, add_schema
from quality.commands.run import add_run
from quality.commands.stream import add_stream
from quality.commands.suggest import add_suggest
from quality.commands.testing import add_test
from quality.commands.versions import add_publish, add_rollback, add_versions

#: In the order of `quality --help`.
COMMANDS = (
    add_run,
    add_lint,
    add_plan,
    add_rules,
    add_schema,
    add_test,
    add_profile,
    add_suggest,
    add_convert,
    add_paths,
    add_versions,
    add_publish,
    add_rollback,
    add_quarantine,
    add_redrive,
    add_stream,
    add_history,
    add_anomalies,
    add_gc,
    add_doctor,
    add_jars,
    add_demo,
)
