"""Rows that are encrypted with a key of their own: settings of a single write.

Hadoop keeps one file system for each bucket, with the settings it was first asked with. A write that brings settings of its own
therefore asks for a file system of its own, on the driver and on each executor.
"""

from __future__ import annotations

#: No marker file beside the rows: whether they count, the commit record says.
_PLAIN = {"mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}


def storage_options(kms_key: str) -> dict[str, str]:
    """Options of a write of rows; with a key of AWS KMS (its ARN) S3A asks S3 to encrypt each object with it (SSE-KMS), also
    when it renames."""
    if not kms_key:
        return dict(_PLAIN)
    own = {
        # the name of Hadoop 3.3.0 and before, and of later ones
        "fs.s3a.server-side-encryption-algorithm": "SSE-KMS",
        "fs.s3a.server-side-encryption.key": kms_key,
        "fs.s3a.encryption.algorithm": "SSE-KMS",
        "fs.s3a.encryption.key": kms_key,
    }
    alone = {f"fs.{scheme}.impl.disable.cache": "true" for scheme in ("s3", "s3a", "s3n")}
    return {**_PLAIN, **own, **alone}
