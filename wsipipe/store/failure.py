"""What an object store's failures mean: try again, not there, or an error that says what to do.

Enters: what s3fs, botocore and the network raise. Leaves: whether another try may help, or a `StoreError`. Next room:
`wsipipe.store.objects`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's: no connection, or one that broke)
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from s3fs.core import S3_RETRYABLE_ERRORS

from wsipipe.errors import StoreError

STATUSES = frozenset({429, 500, 502, 503, 504})
CODES = frozenset(
    {
        "BandwidthLimitExceeded", "ConditionalRequestConflict", "InternalError", "RequestLimitExceeded",
        "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException",
        "TooManyRequestsException", "XAmzContentSHA256Mismatch",
    }
)  # fmt: skip
"""HTTP statuses, and an object store's own words, after which the same request may succeed."""
BROKEN = (ConnectionError, FlexibleChecksumError, HTTPClientError, IncompleteReadError, *S3_RETRYABLE_ERRORS)
"""No answer, or one that broke off."""
RAISED = (BotoCoreError, ClientError, OSError, *S3_RETRYABLE_ERRORS)
"""All that a request may raise."""
TAKEN = frozenset({"PreconditionFailed", "412"})


def passes(error: BaseException) -> bool:
    """Whether the same request may succeed if it is sent again."""
    if isinstance(error, BROKEN):
        return True
    response = _response(error)
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode") in STATUSES or _code(error) in CODES


def is_taken(error: BaseException) -> bool:
    """Whether a conditional put found the object there."""
    return isinstance(error, FileExistsError) or _code(error) in TAKEN


@contextmanager
def told(doing: str, subject: str) -> Iterator[None]:
    """Failures of an object store as errors with a cure; that an object is not there passes as it is."""
    try:
        yield
    except RAISED as error:
        code = _code(error)
        if isinstance(error, (FileNotFoundError, FileExistsError)) and code != "NoSuchBucket":
            raise
        name = subject.removeprefix("s3://")
        raise StoreError(
            f"object storage, {doing}: {_cause(error, code)}", subject=f"s3://{name}" if name else ""
        ) from error


def _response(error: BaseException) -> dict[str, dict[str, object]]:
    """The object store's own answer; s3fs keeps it as the cause of what it raises."""
    for one in (error, error.__cause__):
        if isinstance(one, ClientError):
            return dict(one.response)
    return {}


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _cause(error: BaseException, code: str) -> str:
    if code == "NoSuchBucket":
        return "there is no such bucket; make it, or give another"
    if isinstance(error, ProfileNotFound):
        return "AWS_PROFILE names a profile that is not configured; correct it"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return "no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, PermissionError) or code in ("403", "AccessDenied"):
        return f"permission denied ({code or 'refused'}); use credentials that may list, read, write and delete there"
    name = code or type(error).__name__
    return (
        f"no usable answer after all attempts ({name}); see to the service, or to AWS_ENDPOINT_URL, then run the same "
        "command again"
    )
