"""Rule languages of other systems, read and written as rule files: a module of tables for each."""
