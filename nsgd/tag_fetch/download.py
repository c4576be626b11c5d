"""Gets one address over HTTPS, with every limit that a stranger's server calls for."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import url2pathname

_TIMEOUT_S = 30.0  # for each answer on the wire
_TOTAL_S = 300.0
_CHUNK_BYTES = 64 << 10
_USER_AGENT = "nsgd-tag-fetch"


class FetchFailed(Exception):
    """Nothing was fetched; the text says what, from where, and the way out."""

    def __init__(self, url: str, message: str, way_out: str) -> None:
        super().__init__(f"{url}: {message}; {way_out}")


def download(
    url: str,
    maximum_bytes: int,
    *,
    context: ssl.SSLContext | None = None,
    total_s: float = _TOTAL_S,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """The bytes at *url*, https or file.

    Args:
        url: Redirects are followed from https to https only.
        maximum_bytes: More are refused.
        context: Whom to trust; the system's authorities where it is None.
        total_s: How long all of it may take: a server that sends a byte a second ends there.
        clock: Seconds that only grow.

    Raises:
        FetchFailed: For whatever reason.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return _read_file(url, maximum_bytes)
    if scheme != "https":
        raise FetchFailed(url, "this is no https address", "write https://... or file:///...")
    request = urllib.request.Request(url, headers={"User-Agent": _USER_AGENT})  # noqa: S310
    deadline_s = clock() + total_s
    try:
        with _opener(context).open(request, timeout=min(_TIMEOUT_S, total_s)) as response:
            return _read(response, url, maximum_bytes, deadline_s, clock)
    except urllib.error.HTTPError as error:
        with error:
            reason = f"the server answers {error.code} {error.reason}"
        raise FetchFailed(url, reason, "look whether the address has changed") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = f"{cause or type(cause).__name__}"
        raise FetchFailed(url, reason, "look at the network, or try again later") from error


def _read(
    response: http.client.HTTPResponse,
    url: str,
    maximum_bytes: int,
    deadline_s: float,
    clock: Callable[[], float],
) -> bytes:
    too_long = FetchFailed(
        url, f"the answer is longer than {maximum_bytes} bytes", "look what is at the address"
    )
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > maximum_bytes:
        raise too_long
    content = bytearray()
    # read1() returns what is there: read() would wait for a whole chunk from a slow server.
    while chunk := response.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > maximum_bytes:
            raise too_long
        if clock() > deadline_s:
            raise FetchFailed(url, "the server is too slow", "try again later")
    if announced.isdecimal() and len(content) != int(announced[:20]):
        raise FetchFailed(
            url, f"the answer ends after {len(content)} of {announced} bytes", "try again later"
        )
    return bytes(content)


def _read_file(url: str, maximum_bytes: int) -> bytes:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchFailed(url, "this names another host", "write file:///path")
    try:
        with Path(url2pathname(parts.path)).open("rb") as file:
            content = file.read(maximum_bytes + 1)
    except (OSError, ValueError) as error:
        raise FetchFailed(url, str(error), "check the path") from error
    if len(content) > maximum_bytes:
        raise FetchFailed(url, f"the file is longer than {maximum_bytes} bytes", "check the path")
    return content


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to where another could read or change the answer."""

    max_redirections = 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The next request; FetchFailed where it would leave https."""
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise FetchFailed(
                req.full_url,
                f"the server leads to {newurl!r}, which is not https",
                "tell its owner",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    """Knows HTTPS and nothing else: build_opener() would also follow http, ftp, file and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),  # of the environment: https_proxy
        urllib.request.HTTPSHandler(context=context or ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _OnlyHttps(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
