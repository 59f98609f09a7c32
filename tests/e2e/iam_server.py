"""moto's S3 behind IAM: every request is judged by the policy of the access key that signed it, as AWS would judge it.

moto itself looks at actions alone. Here resources, `s3:prefix` and the rule for missing objects count too: who may not
list an object's key is told 403, not 404. Which action a request needs is taken from AWS's service authorization
reference for S3.
"""

import io
import json
import re
import threading
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

FOLDER = Path(__file__).parents[2] / "deploy" / "iam"
ADMIN = "admin"
"""The access key that may do anything; every other one is the name of a policy."""

Policy = Mapping[str, Any]


class Need(NamedTuple):
    """What a request asks for. prefix: the value of `s3:prefix`, None where the request has none."""

    action: str
    resource: str
    prefix: str | None = None


def shipped_policies(bucket: str, prefix: str) -> dict[str, Policy]:
    """The policies of deploy/iam by name, their placeholders filled in."""
    return {
        file.stem: json.loads(file.read_text().replace("BUCKET", bucket).replace("PREFIX", prefix))
        for file in sorted(FOLDER.glob("*.json"))
    }


def granted_by(policy: Policy, need: Need) -> str | None:
    """The Sid of the first statement that allows it."""
    return next((each["Sid"] for each in policy["Statement"] if _allows(each, need)), None)


def _allows(statement: Mapping[str, Any], need: Need) -> bool:
    return (
        need.action in _listed(statement["Action"])
        and any(fnmatchcase(need.resource, pattern) for pattern in _listed(statement["Resource"]))
        and all(_holds(kind, tests["s3:prefix"], need) for kind, tests in statement.get("Condition", {}).items())
    )


def _holds(kind: str, wanted: str | list[str], need: Need) -> bool:
    """One condition on `s3:prefix`, the only key that the policies test; KeyError for another kind of test."""
    return {
        "StringLike": need.prefix is not None and any(fnmatchcase(need.prefix, each) for each in _listed(wanted)),
        "Null": (need.prefix is None) == (wanted == "true"),
    }[kind]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class GuardedS3:
    """A WSGI application. used: (access key, Sid, action) of what was granted; refused: what was not."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._policies = policies
        self.used: set[tuple[str, str, str]] = set()
        self.refused: list[tuple[str, Need]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        user = _user(environ)
        needs = _needs(environ)
        if not all([self._is_granted(user, need) for need in needs]):
            return _denied(start_response)
        if needs[0].action != "s3:GetObject" or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._moto(environ, start_response)
        return self._read(user, needs[0], environ, start_response)

    def _read(self, user: str, need: Need, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        told: list[Any] = []
        answer = self._moto(environ, lambda *given: told.append(given))
        # For a missing object, AWS asks whether the key itself may be listed, as if it were the prefix of a listing.
        bucket, _, key = need.resource.partition("/")
        if told[0][0].startswith("404") and not self._is_granted(user, Need("s3:ListBucket", bucket, key)):
            return _denied(start_response)
        start_response(*told[0])
        return answer

    def _is_granted(self, user: str, need: Need) -> bool:
        if user == ADMIN:
            return True
        sid = granted_by(self._policies[user], need) if user in self._policies else None
        if sid is None:
            self.refused.append((user, need))
            return False
        self.used.add((user, sid, need.action))
        return True


class GuardedServer:
    """Context manager: GuardedS3 on a port of this machine. `url` is its endpoint."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self.guard = GuardedS3(policies)
        self._server = make_server("127.0.0.1", 0, self.guard, threaded=True, request_handler=MotoRequestHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "GuardedServer":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._thread.join()


def _user(environ: Mapping[str, Any]) -> str:
    signed = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return signed[1] if signed else "nobody"


def _denied(start_response: Any) -> Iterable[bytes]:
    start_response("403 Forbidden", [("Content-Type", "application/xml")])
    return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]


def _needs(environ: dict[str, Any]) -> list[Need]:
    """The permissions that a request takes; at least one."""
    url = urlsplit(environ["RAW_URI"])
    bucket, _, key = unquote(url.path.lstrip("/")).partition("/")
    query, method = dict(parse_qsl(url.query, keep_blank_values=True)), environ["REQUEST_METHOD"]
    place = f"arn:aws:s3:::{bucket}"
    if key:
        return _object_needs(environ, method, f"{place}/{key}", query)
    if method == "POST" and "delete" in query:
        return [Need("s3:DeleteObject", f"{place}/{each}") for each in _deleted_keys(environ)]
    if method in ("GET", "HEAD") and not query.keys() & {"uploads", "location", "acl", "policy", "versioning"}:
        return [Need("s3:ListBucket", place, query.get("prefix"))]
    return [Need(f"{method} bucket {sorted(query)}", place)]


def _object_needs(environ: Mapping[str, Any], method: str, place: str, query: Mapping[str, str]) -> list[Need]:
    if query.keys() & {"acl", "tagging", "retention", "legal-hold", "versionId"}:
        return [Need(f"{method} object {sorted(query)}", place)]
    if "uploadId" in query and method in ("GET", "DELETE"):
        return [Need("s3:ListMultipartUploadParts" if method == "GET" else "s3:AbortMultipartUpload", place)]
    if method in ("GET", "HEAD"):
        return [Need("s3:GetObject", place)]
    if method == "DELETE":
        return [Need("s3:DeleteObject", place)]
    source = environ.get("HTTP_X_AMZ_COPY_SOURCE")
    copied = [Need("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}")] if source else []
    extra = [("HTTP_X_AMZ_ACL", "s3:PutObjectAcl"), ("HTTP_X_AMZ_TAGGING", "s3:PutObjectTagging")]
    return [Need("s3:PutObject", place), *copied, *(Need(action, place) for name, action in extra if name in environ)]


def _deleted_keys(environ: dict[str, Any]) -> list[str]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(body)
    return [each.text or "" for each in ElementTree.fromstring(body).iterfind(".//{*}Key")]
