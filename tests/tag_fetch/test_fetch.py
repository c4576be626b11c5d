"""From an address to the daemon's state directory, by the page and directly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nsgd.config.tag_catalogue import TagFileRefused
from nsgd.runtime.tag_install import UpdateRefused
from nsgd.runtime.tags_in_use import save_tags_in_use
from nsgd.tag_fetch.__main__ import main
from nsgd.tag_fetch.download import FetchFailed
from nsgd.tag_fetch.fetch import DOWNLOAD_HOST, fetch, find_link
from tests.tag_fetch.server import Server
from tests.tag_files import tag_file

NAME = "ServiceTags_Public_20250707.json"
PAGE = f"{DOWNLOAD_HOST}download/7/1/d/71d86715-5596-4529-9b13-da13a5de5b63/{NAME}"


def page(*links: str) -> bytes:
    """What surrounds the link on Microsoft's page."""
    anchors = "".join(f'<a href="{link}">Download</a>' for link in links)
    script = "".join(f'<script>x={{"url":"{link}"}}</script>' for link in links)
    other = f'<a href="{DOWNLOAD_HOST}terms.json">Terms</a>'
    return f"<!DOCTYPE html><html>{other}{anchors}{script}</html>".encode()


def installed(state: Path) -> bytes:
    """The file that is in place."""
    return (state / "service-tags" / "Public.json").read_bytes()


def test_the_file_itself(server: Server, tmp_path: Path) -> None:
    """Fetched, checked, installed; and nothing new the next day."""
    server.answers["/tags.json"] = tag_file()
    for is_new in (True, False):
        done = fetch(server.url + "/tags.json", tmp_path / "state", context=server.trusting)
        assert done.is_new is is_new
    assert installed(tmp_path / "state") == tag_file()


def test_by_the_page(server: Server, tmp_path: Path) -> None:
    """The link of the week is followed, to the host that is expected."""
    host = f"{server.url}/files/"
    server.answers["/page"] = page(f"{host}a/b/{NAME}")
    server.answers[f"/files/a/b/{NAME}"] = tag_file()
    fetch(server.url + "/page", tmp_path, context=server.trusting, download_host=host)
    assert installed(tmp_path) == tag_file()
    assert server.asked == ["/page", f"/files/a/b/{NAME}"]


def test_links() -> None:
    """One is found however often it is there, and with its ampersands written out."""
    assert find_link(page(PAGE, PAGE), "https://page") == PAGE
    government = PAGE.replace("Public", "AzureGovernment")
    assert find_link(page(government), "https://page") == government


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ([], "no link"),
        ([PAGE, PAGE.replace("0707", "0714")], "2 links"),
        ([PAGE.replace("download.microsoft.com", "download.microsoft.com.example")], "no link"),
        ([PAGE.replace("https", "http")], "no link"),
        ([PAGE.replace("20250707", "2025070")], "no link"),
        ([PAGE.replace("ServiceTags_", "Other_")], "no link"),
        ([PAGE.replace(".json", ".xml")], "no link"),
    ],
)
def test_links_that_are_not_followed(links: list[str], text: str) -> None:
    """Nothing is guessed: the way out is the file's own address."""
    with pytest.raises(FetchFailed, match=f"the page has {text} .*own address"):
        find_link(page(*links), "https://page")


def test_a_page_behind_the_page(server: Server, tmp_path: Path) -> None:
    """Is an error page: refused as any HTML."""
    host = f"{server.url}/files/"
    server.answers["/page"] = page(f"{host}a/{NAME}")
    server.answers[f"/files/a/{NAME}"] = page(f"{host}a/{NAME}")
    with pytest.raises(TagFileRefused, match="HTML"):
        fetch(server.url + "/page", tmp_path, context=server.trusting, download_host=host)
    assert not (tmp_path / "service-tags").exists()


def test_a_bad_file_changes_nothing(server: Server, tmp_path: Path) -> None:
    """Cut short, older, without a tag in use: never forced by a timer."""
    server.answers["/a"] = tag_file(change_number=7)
    url = server.url + "/a"
    fetch(url, tmp_path, context=server.trusting)
    save_tags_in_use(tmp_path, {"Public": ["Storage"]})
    server.answers["/a"] = tag_file(change_number=8)[:-20]
    with pytest.raises(TagFileRefused, match="cut short"):
        fetch(url, tmp_path, context=server.trusting)
    for bad in (
        tag_file(change_number=6),
        tag_file({"A": ["10.0.0.0/8"], "B": ["10.0.0.0/8"], "C": ["10.0.0.0/8"]}, 8),
    ):
        server.answers["/a"] = bad
        with pytest.raises(UpdateRefused):
            fetch(url, tmp_path, context=server.trusting)
    with pytest.raises(TagFileRefused, match="not of China"):
        fetch(url, tmp_path, context=server.trusting, cloud="China")
    assert installed(tmp_path) == tag_file(change_number=7)


def test_the_command(server: Server, tmp_path: Path) -> None:
    """As the unit runs it, in a process of its own that trusts the server's certificate."""
    server.answers = {"/a": tag_file(), "/bad": b"{}"}
    environment = os.environ | {"SSL_CERT_FILE": str(server.certificate)}

    def run(url: str) -> subprocess.CompletedProcess[str]:
        words = ["-W", "error", "-m", "nsgd.tag_fetch", url, "--state-dir", str(tmp_path)]
        return subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=False, env=environment
        )

    done = run(server.url + "/a")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("service tags Public 7 installed in ")
    assert run(server.url + "/a").stdout.startswith("nothing new: ")
    refused = run(server.url + "/bad")
    assert refused.returncode == 3
    assert "nsgd-tags: cloud: nothing is not the name of a cloud; " in refused.stderr
    assert refused.stderr.endswith("nsgd-tags: the installed file stays\n")
    failed = run(server.url + "/none")
    assert failed.returncode == 1
    assert "answers 404" in failed.stderr


def test_the_command_where_it_may_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The unit's directory is at fault, and it says so."""
    (tmp_path / "service-tags").write_text("")
    source = tmp_path / "tags.json"
    source.write_bytes(tag_file())
    assert main([source.as_uri(), "--state-dir", str(tmp_path)]) == 1
    assert "let this user write service-tags" in capsys.readouterr().err
    (tmp_path / "tags-in-use.json").write_text("{")
    assert main([source.as_uri(), "--state-dir", str(tmp_path)]) == 1
    assert "tags-in-use.json cannot be read" in capsys.readouterr().err


def test_what_the_fetcher_loads() -> None:
    """Nothing of the kernel, nor of the daemon that it only leaves a file for."""
    words = "import sys, nsgd.tag_fetch.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("nsgd.")}
    assert {name for name in loaded if name.startswith("nsgd.runtime.")} <= {
        "nsgd.runtime.atomic_file",
        "nsgd.runtime.tag_install",
        "nsgd.runtime.tag_report",
        "nsgd.runtime.tag_store",
        "nsgd.runtime.tags_in_use",
    }
    assert not any(name.startswith(("nsgd.kernel", "nsgd.policy", "nsgd.wire")) for name in loaded)
    assert not {"netfilterqueue", "pyroute2", "prometheus_client"} & set(done.stdout.split())
