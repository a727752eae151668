"""A bucket behaves as a directory does, on a real server: one winner, whole objects, clear refusals."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import botocore.awsrequest
import botocore.httpsession
import botocore.response
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from quality.errors import LostRaceError, StorageError
from quality.model import BatchStatus, Decision
from quality.storage import commit, readers
from quality.storage.commit import CommitRecord, DataFile
from quality.storage.s3 import S3Store
from quality.storage.store import TEMPORARY, open_store, prove_put_if_absent

BUCKET, READER_KEY, READER_SECRET = "quality-test", "TESTACCESSKEY0000002", "test-secret-of-the-reader"
TIMED = "2013-01-01T05:00:00+02:00"
ODD = [
    "plain",
    "with blank",
    "100%",
    "a%3Ab",
    "a+b",
    "a:b",
    "ünï",
    "emoji-🎈",
    "q?x",
    "ha#sh",
    "bra[1]",
    "{a,b}",
    "a&b=c",
]


@pytest.fixture
def store(root):
    return open_store(root)


def test_what_is_put_is_read_and_replaced(store):
    store.put("a/b", b"\x00\xff")
    assert store.read("a/b") == b"\x00\xff"
    store.put("a/b", b"")
    assert store.read("a/b") == b""


def test_what_is_absent_is_file_not_found(store):
    store.put("a/b", b"")
    for key in ("absent", "a", "a/b/c"):
        with pytest.raises(FileNotFoundError):
            store.read(key)
        assert not store.exists(key)
    assert store.exists("a/b")


def test_put_if_absent_leaves_the_first(store):
    assert store.put_if_absent("c/1.json", b"first")
    assert not store.put_if_absent("c/1.json", b"second")
    assert not store.put_if_absent("c/1.json", b"first")
    assert store.read("c/1.json") == b"first"


def test_put_still_overwrites_after_put_if_absent(store):
    store.put_if_absent("a", b"first")
    store.put("a", b"second")
    assert store.read("a") == b"second"


def test_of_fifty_threads_one_wins_and_its_content_is_whole(root):
    stores = [S3Store(root) for _ in range(5)]
    contents = [f"{number:02d}".encode() * 20_000 for number in range(50)]
    with ThreadPoolExecutor(50) as pool:
        won = list(pool.map(lambda number: stores[number % 5].put_if_absent("1.json", contents[number]), range(50)))
    assert won.count(True) == 1
    assert stores[0].read("1.json") == contents[won.index(True)]


def test_put_if_absent_is_proven_without_a_trace(store):
    prove_put_if_absent(store)
    assert store.list() == []


@pytest.mark.parametrize("name", ODD)
def test_odd_names_round_trip(store, name):
    store.put(f"d {name}/{name}", b"x")
    assert store.read(f"d {name}/{name}") == b"x"
    assert [entry.key for entry in store.list()] == [f"d {name}/{name}"]
    assert store.children(f"d {name}") == [name]
    assert store.uri(name) == f"{store.root}/{name}"


def test_listing_goes_on_after_a_thousand_and_so_does_deleting(store):
    keys = [f"many/{number:04d}" for number in range(1_050)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), keys))
    store.put("more/1", b"x")
    assert [entry.key for entry in store.list("many")] == keys
    assert store.children() == ["many", "more"]
    store.delete([*keys, "absent"])
    assert [entry.key for entry in store.list()] == ["more/1"]


def test_entries_are_sized_and_dated(store):
    store.put("a", b"1234")
    (entry,) = store.list()
    assert entry.size == 4
    assert abs(entry.modified - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert entry.modified.utcoffset() == timedelta(0)


def test_a_prefix_is_a_folder_not_the_beginning_of_a_name(store):
    store.put("batch=1/x", b"")
    store.put("batch=10/x", b"")
    assert [entry.key for entry in store.list("batch=1")] == ["batch=1/x"]
    assert store.children("batch=1/") == ["x"]


def test_marks_of_empty_folders_are_no_objects(store):
    for key in ("a/folder_$folder$", f"a/{TEMPORARY}x", "a/b"):
        store.put(key, b"")
    store._client().put_object(Bucket=BUCKET, Key=store._name("a") + "/", Body=b"")
    assert [entry.key for entry in store.list()] == ["a/b"]
    assert store.children("a") == ["b"]


def test_move_renames_and_replaces(store):
    store.put("a%3A/b", b"new")
    store.put("c/d", b"old")
    store.move("a%3A/b", "c/d")
    assert ([entry.key for entry in store.list()], store.read("c/d")) == (["c/d"], b"new")
    with pytest.raises(FileNotFoundError):
        store.move("a%3A/b", "c/d")


@pytest.mark.parametrize("scheme", ("s3", "s3a", "s3n"))
def test_the_scheme_given_is_the_scheme_spark_sees(root, scheme):
    store = open_store(root.replace("s3://", f"{scheme}://") + "/")
    store.put("a", b"x")
    assert store.uri("a") == root.replace("s3://", f"{scheme}://") + "/a"
    assert open_store(root).read("a") == b"x"


def test_a_whole_bucket_is_a_root_too(environment):
    store = open_store(f"s3://{BUCKET}")
    store.put("whole/a", b"x")
    assert "whole/a" in [entry.key for entry in store.list()]
    assert store.children("whole") == ["a"]
    assert store.uri("a") == f"s3://{BUCKET}/a"


def test_commits_and_manifests_work_on_a_bucket(store):
    files = (DataFile(f"passed/flights/_runs/b%3A/{'r' * 3}/part-0.parquet", 1, 1),)
    moment = datetime(2013, 1, 1, tzinfo=timezone.utc)
    words = (moment, BatchStatus.PASSED, Decision.PUBLISHED, 0, "r")
    record = CommitRecord("flights", TIMED, moment, 1, "won", *words, passed=files)
    commit.commit(store, record)
    commit.commit(store, record)
    with pytest.raises(LostRaceError, match="run won committed first"):
        commit.commit(store, CommitRecord("flights", TIMED, moment, 1, "lost", *words))
    assert commit.live_records(store, "flights") == [record]
    assert readers.paths(store, "flights") == [store.uri(files[0].path)]
    readers.write_manifest(store, "flights", TIMED)
    key = "passed/flights/_symlink_format_manifest/batch=2013-01-01T05%3A00%3A00%2B02%3A00/manifest"
    assert store.read(key).decode() == store.uri(files[0].path) + "\n"


class Wire:
    """Answers of the server replaced on their way, to see what a client does without them."""

    def __init__(self, monkeypatch, answer):
        self.headers = []
        self.answer = answer
        self.send = botocore.httpsession.URLLib3Session.send

        def send(session, request):
            return self(session, request)

        monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", send)

    def __call__(self, session, request):
        if request.method != "PUT":
            return self.send(session, request)
        self.headers.append(dict(request.headers))
        return self.answer(len(self.headers), lambda: self.send(session, request), request)


def response(request, status, code=""):
    class Raw:
        def stream(self, **_):
            yield f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""

    return botocore.awsrequest.AWSResponse(request.url, status, {}, Raw())


def lose(send, request):
    send()
    raise ReadTimeoutError(endpoint_url=request.url)


def test_only_put_if_absent_carries_the_condition_and_signs_it(store, monkeypatch):
    wire = Wire(monkeypatch, lambda number, send, request: send())
    store.put("a", b"1")
    store.put_if_absent("b", b"1")
    store.put("c", b"1")
    assert [header.get("If-None-Match") for header in wire.headers] == [None, b"*", None]
    assert b"if-none-match" in wire.headers[1]["Authorization"]


def test_a_put_whose_answer_was_lost_and_that_is_repeated_is_won(store, monkeypatch):
    # the second request is answered 412, because the first was carried out
    wire = Wire(monkeypatch, lambda number, send, request: lose(send, request) if number == 1 else send())
    assert store.put_if_absent("a", b"ours")
    assert len(wire.headers) == 2


def test_a_put_that_never_got_an_answer_is_won_when_the_object_is_ours(store, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    Wire(monkeypatch, lambda number, send, request: lose(send, request))
    assert store.put_if_absent("a", b"ours")


def test_a_put_that_never_got_an_answer_is_lost_when_the_object_is_another(store, monkeypatch):
    store.put("a", b"theirs")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    Wire(monkeypatch, lambda number, send, request: lose(send, request))
    assert not S3Store(store.root).put_if_absent("a", b"ours")


@pytest.mark.parametrize(("status", "code"), ((409, "ConditionalRequestConflict"), (503, "SlowDown")))
def test_conflicts_and_overload_are_tried_again(store, monkeypatch, status, code):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    wire = Wire(monkeypatch, lambda number, send, request: response(request, status, code) if number < 3 else send())
    assert store.put_if_absent("a", b"ours")
    assert len(wire.headers) == 3


def test_endless_conflicts_end(store, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    Wire(monkeypatch, lambda number, send, request: response(request, 409, "ConditionalRequestConflict"))
    with pytest.raises(StorageError, match="a: cannot write: 5 attempts met conflicts or lost answers"):
        store.put_if_absent("a", b"ours")


def test_access_denied_names_place_and_permission(root, environment):
    open_store(root).put("a", b"x")
    environment.setenv("AWS_ACCESS_KEY_ID", READER_KEY)
    environment.setenv("AWS_SECRET_ACCESS_KEY", READER_SECRET)
    store = open_store(root)
    assert store.read("a") == b"x"
    with pytest.raises(StorageError, match=rf"{root}/b: cannot write: access denied; .* need s3:PutObject"):
        store.put("b", b"")
    with pytest.raises(StorageError, match=r"need s3:PutObject"):
        store.put_if_absent("b", b"")
    with pytest.raises(StorageError, match=r"need s3:DeleteObject"):
        store.delete(["a"])


def test_a_missing_bucket_is_named(environment):
    store = open_store("s3://no-such-bucket-here/x")
    for call in (lambda: store.read("a"), store.list, store.children, lambda: store.put("a", b"")):
        with pytest.raises(StorageError, match="there is no bucket 'no-such-bucket-here'"):
            call()


def refused(root, call=lambda store: store.read("a")):
    with pytest.raises(StorageError) as caught:
        call(open_store(root))
    message = str(caught.value)
    for secret in ("test-secret", "wrong-secret"):
        assert secret not in message
    return message


def test_a_wrong_secret_is_told_and_not_shown(root, environment):
    environment.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    assert "cannot read: the secret key is not that of the access key" in refused(root)
    assert "cannot look at: access denied" in refused(root, lambda store: store.exists("a"))


def test_an_unknown_access_key_is_told(root, environment):
    environment.setenv("AWS_ACCESS_KEY_ID", "TESTACCESSKEY0000009")
    assert "the server does not know the access key" in refused(root)


def test_missing_credentials_are_told(root, environment):
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    assert "cannot read: no AWS credentials; set AWS_PROFILE" in refused(root)


def test_an_unknown_profile_is_told(root, environment):
    environment.setenv("AWS_PROFILE", "nobody")
    assert "The config profile (nobody) could not be found" in refused(root)


@pytest.mark.parametrize(
    ("code", "message"),
    (
        ("ExpiredToken", "the AWS credentials have expired"),
        ("InvalidToken", "the AWS session token is not valid"),
        ("RequestTimeTooSkewed", "the clock of this machine is wrong"),
        ("KMS.DisabledException", r"no \(KMS.DisabledException\)"),
    ),
)
def test_other_refusals_say_what_to_do(store, monkeypatch, code, message):
    Wire(monkeypatch, lambda number, send, request: response(request, 400, code))
    for call in (store.put, store.put_if_absent):
        with pytest.raises(StorageError, match=f"a: cannot write: {message}"):
            call("a", b"")


def test_an_unreachable_server_is_told_without_waiting_long(root, environment):
    environment.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    environment.setenv("AWS_MAX_ATTEMPTS", "1")
    assert "Could not connect to the endpoint URL" in refused(root)
    assert "Could not connect" in refused(root, lambda store: store.put_if_absent("a", b""))


def test_encryption_and_payment_are_asked_for(root, environment, monkeypatch):
    wire = Wire(monkeypatch, lambda number, send, request: response(request, 200))
    S3Store(root, sse="aws:kms", kms_key_id="key-1", request_payer=True).put("a", b"")
    environment.setenv("QUALITY_S3_KMS_KEY_ID", "key-2")
    S3Store(root).put_if_absent("a", b"")
    asked = [
        (header.get("x-amz-server-side-encryption"), header.get("x-amz-server-side-encryption-aws-kms-key-id"))
        for header in wire.headers
    ]
    assert asked == [(b"aws:kms", b"key-1"), (b"aws:kms", b"key-2")]
    assert wire.headers[0]["x-amz-request-payer"] == b"requester"


def test_an_answer_that_breaks_off_is_read_again(store, monkeypatch):
    store.put("a", b"whole")
    read, calls = botocore.response.StreamingBody.read, []

    def break_off(self, amt=None):
        calls.append(1)
        if len(calls) == 1:
            raise ReadTimeoutError(endpoint_url="x")
        return read(self, amt)

    monkeypatch.setattr(botocore.response.StreamingBody, "read", break_off)
    assert store.read("a") == b"whole"
    assert len(calls) == 2


def test_an_endpoint_override_is_addressed_by_path(environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://storage.example.test")
    store, urls = open_store("s3://bucket/x"), []

    def send(_, request):
        urls.append(request.url)
        raise EndpointConnectionError(endpoint_url=request.url)

    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", send)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError):
        store.read("a")
    assert urls == ["http://storage.example.test/bucket/x/a"]
    assert os.environ["AWS_ENDPOINT_URL_S3"] == "http://storage.example.test"
