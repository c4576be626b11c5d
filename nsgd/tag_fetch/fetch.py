"""From an address to an installed file, by way of Microsoft's download page where it is one."""

from __future__ import annotations

import html
import re
import ssl
from pathlib import Path

from nsgd.config.tag_catalogue import MAXIMUM_TAG_FILE_BYTES
from nsgd.runtime.tag_install import Installation, install
from nsgd.tag_fetch.download import FetchFailed, download

DOWNLOAD_HOST = "https://download.microsoft.com/"
_MAXIMUM_PAGE_BYTES = 8 << 20
# The date changes each week, and with it the link.
_LINK = r"[A-Za-z0-9._~/-]{1,500}/ServiceTags_[A-Za-z]{1,64}_[0-9]{8}\.json"


def fetch(
    url: str,
    state_directory: Path,
    *,
    cloud: str | None = None,
    context: ssl.SSLContext | None = None,
    download_host: str = DOWNLOAD_HOST,
) -> Installation:
    """Fetch a file and install it, checked as any other; never forced.

    Args:
        url: The file itself, or the page that has a link to it.
        state_directory: The daemon's.
        cloud: The cloud that the file must be of; None for that of the file before.
        context: Whom to trust.
        download_host: Where the page's link must lead to.

    Raises:
        FetchFailed: Nothing was fetched.
        TagFileRefused, UpdateRefused, TagsInUseError, OSError: As install() says.
    """
    content = download(url, MAXIMUM_TAG_FILE_BYTES, context=context)
    if is_page(content):
        link = find_link(content, url, download_host)
        content = download(link, MAXIMUM_TAG_FILE_BYTES, context=context)
    return install(state_directory, content, cloud=cloud)


def is_page(content: bytes) -> bool:
    """Tell whether this is HTML, which JSON cannot be."""
    return content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def find_link(page: bytes, url: str, download_host: str = DOWNLOAD_HOST) -> str:
    """The one link to a tag file on the download page at *url*.

    Raises:
        FetchFailed: There is none, or more than one: none of them is then guessed.
    """
    if len(page) > _MAXIMUM_PAGE_BYTES:
        raise FetchFailed(url, "the page is too long", "give the .json file's own address")
    text = html.unescape(page.decode("utf-8", "replace"))
    links: dict[str, None] = dict.fromkeys(re.findall(re.escape(download_host) + _LINK, text))
    if len(links) != 1:
        found = f"{len(links)} links" if links else "no link"
        raise FetchFailed(
            url,
            f"the page has {found} {download_host}.../ServiceTags_CLOUD_DATE.json",
            "give the .json file's own address",
        )
    return next(iter(links))
