"""What the command `quality` can do, one module for each family of commands.

A module has `add_<command>(commands)`, which adds a parser; Spark is imported by the commands that need it, inside.
"""

from __future__ import annotations

from quality.commands.machine import add_demo, add_doctor, add_jars, add_paths
from quality.commands.rules import add_lint, add_plan, add_rules, add_schema
from quality.commands.run import add_run

#: In the order of `quality --help`.
COMMANDS = (add_run, add_lint, add_plan, add_rules, add_schema, add_paths, add_doctor, add_jars, add_demo)
