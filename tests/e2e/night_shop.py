"""The shop whose nights are disturbed: small drawn photos, a bundle of tiny random networks, an S3 server with both."""

import io
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import boto3
import numpy as np
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from PIL import Image, ImageDraw

from tagger.storage import open_root

REJECTED = {"bad/cut.jpg": "truncated", "bad/empty.jpg": "empty", "bad/notes.txt": "not_an_image",
            "bad/tiny.png": "too_small"}  # fmt: skip
"""Photos that nobody can tag, and why."""


class Shop:
    """Photos and bundle in a folder that keeps them; the same photos on S3 once somebody asks for them there.

    endpoint: of an S3 server that is there already, with credentials in the environment; null starts one.
    """

    def __init__(self, folder: Path, count: int, endpoint: str | None = None) -> None:
        self.count, self.photos, self._given = count, folder / f"photos-{count}", endpoint
        self.model = str(folder / "models/shop/1")
        self._server: ThreadedMotoServer | None = None
        if not self.photos.exists():
            draw_photos(self.photos, count)
        if not Path(self.model, "bundle.json").exists():
            from tests.unit.evaluation.small_shop import INFO, save_shop_bundle  # Keras takes seconds to import

            save_shop_bundle(folder, INFO)

    @cached_property
    def endpoint(self) -> str:
        """The server with the photos in the bucket `photos`, and an empty bucket `shop`; in this environment too."""
        if self._given is None:
            logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line a request otherwise
            names = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
            os.environ.update({f"AWS_{name}": value for name, value in names.items()})
            self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            self._server.start()
            self._given = "http://{}:{}".format(*self._server.get_host_and_port())
        os.environ["AWS_ENDPOINT_URL"] = self._given
        _make_buckets(self._given)
        target, source = open_root("s3://photos"), open_root(str(self.photos))
        keys = [found.key for found in source.list_objects()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: target.write_bytes(key, source.read_bytes(key)), keys))
        return self._given

    def close(self) -> None:
        """End the server that this shop started."""
        if self._server:
            self._server.stop()


def draw_photos(folder: Path, count: int) -> None:
    """`count` JPEGs of 64 x 64 px in folders with odd names, and beside them the ones that nobody can tag."""
    rng = np.random.default_rng(1)
    files = {f"ü {n % 7}/{n:05d}.jpg": _drawn(rng) for n in range(count)}
    good = _drawn(rng)
    tiny = io.BytesIO()
    Image.new("RGB", (8, 8)).save(tiny, "PNG")
    files |= {"bad/cut.jpg": good[: len(good) // 2], "bad/empty.jpg": b"", "bad/notes.txt": b"no picture"}
    unfinished = folder.with_suffix(".part")
    for key, data in (files | {"bad/tiny.png": tiny.getvalue()}).items():
        (unfinished / key).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / key).write_bytes(data)
    unfinished.rename(folder)


def _drawn(rng: np.random.Generator) -> bytes:
    """A shape in one color before a background in another."""
    back, front = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    picture = Image.new("RGB", (64, 64), back if rng.random() < 0.3 else (250, 250, 250))
    left, top, right, bottom = (int(v) for v in (*rng.integers(6, 24, 2), *rng.integers(40, 58, 2)))
    draw = ImageDraw.Draw(picture)
    (draw.rectangle if rng.random() < 0.5 else draw.ellipse)((left, top, right, bottom), front)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _make_buckets(endpoint: str) -> None:
    s3 = boto3.Session().client("s3", endpoint_url=endpoint)
    for name in ("photos", "shop"):
        try:
            s3.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise
