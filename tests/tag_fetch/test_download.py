"""Downloads over real TLS: what is taken, and every way in which a server may misbehave."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from nsgd.tag_fetch.download import FetchFailed, download
from tests.tag_fetch.server import Server

LIMIT = 1 << 20


def failure(server: Server, path: str, maximum: int = LIMIT, total_s: float = 20.0) -> str:
    """Why nothing comes from a path; each says the address and a way out."""
    with pytest.raises(FetchFailed) as caught:
        download(server.url + path, maximum, context=server.trusting, total_s=total_s)
    text = str(caught.value)
    assert text.startswith(server.url)
    assert "; " in text
    return text


def test_what_comes_is_what_was_sent(server: Server) -> None:
    """With and without an announced length, and after a redirect to another path."""
    body = bytes(range(256)) * 2000
    server.answers = {"/a": body, "/b": body, "/empty": b""}
    server.announced["/b"] = -1
    server.redirects["/r"] = "/a"
    for path in ("/a", "/b", "/r"):
        assert download(server.url + path, LIMIT, context=server.trusting) == body
    assert download(server.url + "/empty", LIMIT, context=server.trusting) == b""


def test_the_limit(server: Server) -> None:
    """Exactly so many bytes are fine, one more is not, announced or not."""
    server.answers = {"/a": b"x" * 1000, "/b": b"x" * 1000}
    server.announced["/b"] = -1
    for path in ("/a", "/b"):
        assert len(download(server.url + path, 1000, context=server.trusting)) == 1000
        assert "the answer is longer than 999 bytes" in failure(server, path, 999)
    server.announced["/a"] = 10**30
    assert "longer than" in failure(server, "/a")


def test_an_answer_that_breaks_off(server: Server) -> None:
    """Less than was announced is nothing."""
    server.answers["/a"] = b"x" * 100
    server.announced["/a"] = 101
    assert "the answer ends after 100 of 101 bytes" in failure(server, "/a")


def test_a_slow_server(server: Server) -> None:
    """A byte now and then keeps no connection open for ever."""
    server.answers["/a"] = b"x" * 1000
    server.pauses_s["/a"] = 0.05
    # All of it would come in 50 s: the answer would then be no failure.
    assert "too slow" in failure(server, "/a", total_s=0.5)


def test_a_silent_server(server: Server) -> None:
    """Nor does nothing at all."""
    server.answers["/a"] = b"xx"
    server.pauses_s["/a"] = 3.0
    assert "timed out" in failure(server, "/a", total_s=0.5)


def test_errors_of_the_server(server: Server) -> None:
    """Its number and words."""
    assert "the server answers 404 Not Found; look whether" in failure(server, "/none")


@pytest.mark.parametrize(
    "target", ["http://localhost/a", "file:///etc/passwd", "ftp://localhost/a", "data:,x"]
)
def test_redirects_stay_with_https(server: Server, target: str) -> None:
    """Nowhere that others could change, and to no file of this host."""
    server.redirects["/r"] = target
    text = failure(server, "/r")
    assert f"leads to {target!r}, which is not https" in text or "not allowed" in text


def test_a_circle(server: Server) -> None:
    """Ends after a few steps."""
    server.redirects["/r"] = "/s"
    server.redirects["/s"] = "/r"
    assert "redirect" in failure(server, "/r")
    assert len(server.asked) < 20


def test_a_certificate_that_nobody_trusts(server: Server) -> None:
    """By default the system's authorities decide."""
    server.answers["/a"] = b"x"
    with pytest.raises(FetchFailed, match="certificate verify failed"):
        download(server.url + "/a", LIMIT)
    assert server.asked == []
    wrong_name = server.url.replace("localhost", "127.0.0.1")
    with pytest.raises(FetchFailed, match="certificate"):
        download(wrong_name + "/a", LIMIT, context=server.trusting)
    assert server.trusting.verify_mode is ssl.CERT_REQUIRED


def test_nobody_listens(server: Server) -> None:
    """The reason of the network."""
    with pytest.raises(FetchFailed, match="refused; look at the network"):
        download("https://127.0.0.1:1/a", LIMIT)


@pytest.mark.parametrize(
    "url", ["http://localhost/a", "ftp://x/a", "/etc/passwd", "", "https:", "x"]
)
def test_addresses_that_are_none(url: str) -> None:
    """Each is refused before anything is opened."""
    with pytest.raises(FetchFailed):
        download(url, LIMIT)


def test_files(tmp_path: Path) -> None:
    """For mirrors that something else fills."""
    path = tmp_path / "a b.json"
    path.write_bytes(b"x" * 10)
    assert download(path.as_uri(), 10) == b"x" * 10
    with pytest.raises(FetchFailed, match="longer than 9 bytes"):
        download(path.as_uri(), 9)
    with pytest.raises(FetchFailed, match="No such file"):
        download((tmp_path / "none").as_uri(), 10)
    with pytest.raises(FetchFailed, match="another host"):
        download("file://elsewhere/x", 10)
