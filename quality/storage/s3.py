"""A bucket, through boto3.

put-if-absent is `If-None-Match: *`. The header is added in a hook before the request is signed, because the botocore of
Glue 5.0 (1.34) does not know it as an argument; the client with that hook is used for nothing else.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timezone
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ResponseStreamingError
from botocore.exceptions import ConnectionError as NoConnectionError
from urllib3.exceptions import HTTPError

from quality.errors import StorageError, UsageError
from quality.storage.store import Entry, checked_key, hidden

_ATTEMPTS = 5
_BATCH = 1000  # what DeleteObjects takes
_Names = list[str]


class S3Store:
    """The objects of a bucket below a prefix, for s3://, s3a:// and s3n://.

    Credentials, region and endpoint come from where AWS tools look (AWS_PROFILE, AWS_ENDPOINT_URL_S3, ...). `sse` and
    `kms_key_id` ask for server-side encryption, `request_payer` pays for a foreign bucket; QUALITY_S3_SSE,
    QUALITY_S3_KMS_KEY_ID and QUALITY_S3_REQUEST_PAYER (`requester`) say the same. Without them the bucket's default
    applies. The scheme of the root is kept in every URI, as Spark may know only that one.
    """

    def __init__(
        self,
        root: str,
        *,
        sse: str | None = None,
        kms_key_id: str | None = None,
        request_payer: bool | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        match = re.fullmatch(r"(s3[an]?)://([^/]+)/*(.*)", root, re.IGNORECASE | re.DOTALL)
        if match is None:
            raise UsageError(f"{root}: must be s3://bucket or s3://bucket/prefix")
        self._scheme, self.bucket, self._prefix = match[1].lower(), match[2], match[3].strip("/")
        if self._prefix:
            checked_key(root, self._prefix)
        self._endpoint = endpoint_url or _endpoint_of_environment()
        self._encryption = _encryption(sse, kms_key_id)
        self._payer = _payer(request_payer)
        self._lock = threading.Lock()
        self._clients: dict[bool, Any] = {}

    @property
    def root(self) -> str:
        return f"{self._scheme}://{self.bucket}/{self._prefix}".rstrip("/")

    def uri(self, key: str) -> str:
        return f"{self.root}/{checked_key(self.root, key)}"

    def read(self, key: str) -> bytes:
        with self._explained("read", key, "s3:GetObject"):
            try:
                return self._download(self._name(key))
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    raise FileNotFoundError(f"{self.uri(key)}: no such object") from None
                raise

    def put(self, key: str, data: bytes) -> None:
        with self._explained("write", key, "s3:PutObject"):
            self._upload(self._client(), key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self._explained("write", key, "s3:PutObject"):
            for attempt in range(_ATTEMPTS):
                won = self._try_put_if_absent(key, data, repeated=attempt > 0)
                if won is not None:
                    return won
                time.sleep(0.1 * 2**attempt)
        raise StorageError(
            f"{self.uri(key)}: cannot write: {_ATTEMPTS} attempts met conflicts or lost answers, "
            "and nothing is stored under this name; run again"
        )

    def list(self, prefix: str = "", *, unfinished: bool = False) -> list[Entry]:
        found = (item for page in self._pages(prefix) for item in page.get("Contents", ()))
        return sorted(self._entry(item) for item in found if _real(item, unfinished))

    def children(self, prefix: str = "") -> _Names:
        start = len(self._folder(prefix))
        names: set[str] = set()
        for page in self._pages(prefix, Delimiter="/"):
            names.update(item["Prefix"][start:-1] for item in page.get("CommonPrefixes", ()))
            names.update(item["Key"][start:] for item in page.get("Contents", ()) if _real(item))
        return sorted(names)

    def exists(self, key: str) -> bool:
        with self._explained("look at", key, "s3:GetObject"):
            try:
                self._client().head_object(**self._where(key))
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    return False
                raise
            return True

    def delete(self, keys: Iterable[str]) -> None:
        names = [self._name(key) for key in keys]
        for start in range(0, len(names), _BATCH):
            self._delete_batch(names[start : start + _BATCH])

    def delete_folder(self, prefix: str) -> None:
        self._name(prefix)  # the whole root is no folder
        for page in self._pages(prefix):
            if names := [item["Key"] for item in page.get("Contents", ())]:
                self._delete_batch(names)

    def move(self, source: str, target: str) -> None:
        """As the protocol says, by copy and delete: between the two, both are there."""
        self._copy("move", source, target)
        self.delete([source])

    def copy(self, source: str, target: str) -> None:
        """As the protocol says, by the server: nothing passes through this machine."""
        self._copy("copy", source, target)

    def _copy(self, action: str, source: str, target: str) -> None:
        if not self.exists(source):
            raise FileNotFoundError(f"{self.uri(source)}: no such object")
        with self._explained(action, source, "s3:GetObject and s3:PutObject"):
            origin = {"Bucket": self.bucket, "Key": self._name(source)}
            extra = {**self._encryption, **self._payer}
            self._client().copy(origin, self.bucket, self._name(target), ExtraArgs=extra)

    def _name(self, key: str) -> str:
        checked_key(self.root, key)
        return f"{self._prefix}/{key}" if self._prefix else key

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._name(key), **self._payer}

    def _folder(self, prefix: str) -> str:
        prefix = prefix.rstrip("/")
        name = self._name(prefix) if prefix else self._prefix
        return f"{name}/" if name else ""

    def _entry(self, item: Any) -> Entry:
        start = len(self._folder(""))
        return Entry(item["Key"][start:], item["Size"], item["LastModified"].astimezone(timezone.utc))

    def _pages(self, prefix: str, **options: str) -> Iterator[Any]:
        with self._explained("list", prefix, "s3:ListBucket"):
            wanted = {"Bucket": self.bucket, "Prefix": self._folder(prefix), **options, **self._payer}
            while True:
                page = self._client().list_objects_v2(**wanted)
                yield page
                if not page.get("IsTruncated"):
                    return
                wanted["ContinuationToken"] = page["NextContinuationToken"]

    def _download(self, name: str) -> bytes:
        # botocore repeats requests, but not the reading of an answer that breaks off
        for attempt in range(_ATTEMPTS):
            answer = self._client().get_object(Bucket=self.bucket, Key=name, **self._payer)
            try:
                return bytes(answer["Body"].read())
            except BotoCoreError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _upload(self, client: Any, key: str, data: bytes) -> Any:
        return client.put_object(**self._where(key), Body=data, **self._encryption)

    def _try_put_if_absent(self, key: str, data: bytes, repeated: bool) -> bool | None:
        """Whether we created the object; None when that has to be tried again. `repeated`: an earlier request of ours may
        have been carried out since."""
        try:
            self._upload(self._client(guarded=True), key, data)
        except ClientError as error:
            status, retries = _status(error), error.response["ResponseMetadata"].get("RetryAttempts", 0)
            if status == 412:
                # botocore may have repeated a request that had been carried out: the object in the way is then ours
                return bool(retries or repeated) and self._is_ours(key, data)
            if status == 409:
                return None
            if status < 500:
                raise
            return self._whose(key, data)
        except (HTTPClientError, NoConnectionError):
            return self._whose(key, data)
        return True

    def _whose(self, key: str, data: bytes) -> bool | None:
        """After a lost answer: whether the object is ours, None when there is none. StorageError when nobody can say."""
        try:
            return self._is_ours(key, data)
        except FileNotFoundError:
            return None
        except StorageError as error:
            reason = str(error).partition(": cannot read: ")[2]
            raise StorageError(
                f"{self.uri(key)}: cannot write: {reason}; whether it was stored is not known; run again"
            ) from None

    def _is_ours(self, key: str, data: bytes) -> bool:
        return self.read(key) == data

    def _delete_batch(self, names: _Names) -> None:
        with self._explained("delete", "", "s3:DeleteObject"):
            wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
            answer = self._client().delete_objects(Bucket=self.bucket, Delete=wanted, **self._payer)
        for failed in answer.get("Errors", ()):
            place = f"{self._scheme}://{self.bucket}/{failed.get('Key')}"
            raise StorageError(f"{place}: cannot delete: {_reason(failed, self.bucket, 's3:DeleteObject')}")

    def _client(self, guarded: bool = False) -> Any:
        """The client, made at first use; `guarded` is the one whose PutObject never overwrites."""
        with self._lock:
            if guarded not in self._clients:
                self._clients[guarded] = self._new_client(guarded)
            return self._clients[guarded]

    def _new_client(self, guarded: bool) -> Any:
        # a session of our own: boto3's default one is neither thread-safe nor ours
        client = boto3.session.Session().client("s3", endpoint_url=self._endpoint, config=_config(self._endpoint))
        if guarded:
            client.meta.events.register("before-call.s3.PutObject", _forbid_overwrite)
        # what is not to be done twice is done once, and looked for when nobody knows
        return _Answered(client, 1 if guarded else _ATTEMPTS)

    @contextlib.contextmanager
    def _explained(self, action: str, key: str, needs: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            reason = _reason(error.response.get("Error", {}), self.bucket, needs)
        except BotoCoreError as error:
            reason = _WITHOUT_ANSWER.get(type(error).__name__, str(error))
        else:
            return
        place = f"{self.root}/{key}".rstrip("/")
        # the cause is left out: its text may hold the request
        raise StorageError(f"{place}: cannot {action}: {reason}") from None


class _Answered:
    """A client of which an answer that breaks off is one that is missing: botocore lets errors of urllib3 through while it reads what
    a server says of a request it refuses, and does not repeat the request."""

    def __init__(self, client: Any, attempts: int) -> None:
        self._client, self._attempts = client, attempts

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*places: Any, **given: Any) -> Any:
            for left in reversed(range(self._attempts)):
                try:
                    return method(*places, **given)
                except HTTPError as error:
                    if isinstance(error, BotoCoreError):
                        raise
                    if not left:
                        raise ResponseStreamingError(error=error) from error
            raise AssertionError("the last attempt returns or raises")

        return call


def _forbid_overwrite(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["If-None-Match"] = "*"


def _endpoint_of_environment() -> str | None:
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _config(endpoint: str | None) -> Config:
    retries: dict[str, Any] = {}
    if "AWS_RETRY_MODE" not in os.environ:
        retries["mode"] = "standard"
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["max_attempts"] = _ATTEMPTS
    # another server seldom has a name of its own for each bucket
    style = {"addressing_style": "path"} if endpoint else {}
    return Config(retries=retries, s3=style, connect_timeout=10, read_timeout=60, max_pool_connections=32)


def _encryption(sse: str | None, kms_key_id: str | None) -> dict[str, str]:
    kms_key_id = kms_key_id or os.environ.get("QUALITY_S3_KMS_KEY_ID")
    sse = sse or os.environ.get("QUALITY_S3_SSE") or ("aws:kms" if kms_key_id else None)
    words = {"ServerSideEncryption": sse, "SSEKMSKeyId": kms_key_id}
    return {word: value for word, value in words.items() if value}


def _payer(request_payer: bool | None) -> dict[str, str]:
    if request_payer is None:
        request_payer = os.environ.get("QUALITY_S3_REQUEST_PAYER", "").lower() in ("requester", "true", "1")
    return {"RequestPayer": "requester"} if request_payer else {}


def _real(item: Any, unfinished: bool = False) -> bool:
    """Whether a listed key is an object of ours, not the mark some tools leave for an empty folder."""
    key: str = item["Key"]
    return not key.endswith(("/", "_$folder$")) and (unfinished or not hidden(key))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


_DENIED = "access denied; the credentials in use need {needs} here, allowed by the bucket's and the key's policies too"
_EXPIRED = "the AWS credentials have expired; renew them and run again"
_REGION = "bucket '{bucket}' is in another region; set AWS_REGION to it"

#: What to do about an answer of the server, by its code. A HEAD request is answered by a number alone.
_ANSWERS = {
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED + "; a wrong or expired key is answered like this too",
    "400": "the server refused the request without a reason; expired credentials and a wrong region look like this",
    "NoSuchBucket": "there is no bucket '{bucket}'",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": "the AWS session token is not valid; renew the credentials",
    "InvalidAccessKeyId": "the server does not know the access key; check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "the secret key is not that of the access key; check AWS_SECRET_ACCESS_KEY or the profile",
    "RequestTimeTooSkewed": "the clock of this machine is wrong by more than 15 minutes",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
}

_NO_CREDENTIALS = "no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a role"
#: The same for errors without an answer, by class name, as botocore 1.34 has not all of the classes.
_WITHOUT_ANSWER = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": "half of the AWS credentials is missing; set access key and secret key",
    "UnauthorizedSSOTokenError": "the AWS single sign-on has expired; run aws sso login",
    "SSOTokenLoadError": "there is no AWS single sign-on; run aws sso login",
    "TokenRetrievalError": "the AWS single sign-on has expired; run aws sso login",
}


def _reason(error: Any, bucket: str, needs: str) -> str:
    code = str(error.get("Code", ""))
    if code in _ANSWERS:
        return f"{_ANSWERS[code].format(bucket=bucket, needs=needs)} ({code})"
    return f"{error.get('Message') or 'no reason given'} ({code})"
