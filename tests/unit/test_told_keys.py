"""Keys and paths in the sentences of storage: a line feed in one forges no line of standard error."""

import pytest
from botocore.exceptions import ClientError

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import open_root


def test_a_key_outside_a_root_and_a_path_on_its_disk_take_one_line(tmp_path):
    root = open_root(str(tmp_path))
    with pytest.raises(BadInput, match=r"'\.\./a\\nb' leads outside"):
        root.exists("../a\nb")
    root.write_bytes("a\nb", b"")
    with pytest.raises(BadInput, match=r"Could not write 1 bytes to .*/a\\nb/c: "):
        root.write_bytes("a\nb/c", b"1")


class Refusing:
    """An S3 client in which a conditional write is always too late, and nothing is there."""

    def put_object(self, **_):
        raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")

    def get_object(self, **_):
        raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")

    def delete_object(self, **_):
        raise ClientError({"Error": {"Code": "Strange"}}, "DeleteObject")


def test_a_key_in_a_bucket_takes_one_line(monkeypatch):
    monkeypatch.setattr("tagger.storage.s3_client", Refusing)
    root = open_root("s3://bucket/shop")
    for act in (lambda: root.create_once("a\nb", b""), lambda: root.delete("a\nb")):
        with pytest.raises(StorageUnavailable, match=r"Could not \w+ s3://bucket/shop/a\\nb"):
            act()
