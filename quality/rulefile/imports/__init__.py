"""Rule languages of other systems, read and written as rule files: a module or two for each."""
