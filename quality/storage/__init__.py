"""Where data, commits, results and history are kept.

A `Store` is bytes under keys: a local directory, an S3 bucket, or any file system Hadoop knows. `layout` names every
key, `commit` decides which run of a batch is live, `readers` turns that decision into file lists and frames.

Data files are written once, under their run, and mean nothing until a commit record lists them. One put-if-absent of
that record is the only step that has to be atomic; everything else may be repeated or left behind by a crash.
"""
