"""Finds batches that are unlike those before them, in numpy: from plain values to plain values, no files, no Spark.

`judging.judge` is the way in; `strategies` are Deequ's; `drift` compares two windows of a column. A rule file names a
calendar without waiting for numpy: hence nothing is imported here.
"""
