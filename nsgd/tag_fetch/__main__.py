"""``python -m nsgd.tag_fetch URL``: what nsgd-tags.service runs once a day."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nsgd.config.tag_catalogue import DOWNLOAD_PAGE, TagFileRefused
from nsgd.runtime.tag_install import UpdateRefused
from nsgd.runtime.tag_report import installation_lines
from nsgd.runtime.tags_in_use import TagsInUseError
from nsgd.tag_fetch.download import FetchFailed
from nsgd.tag_fetch.fetch import fetch

_EXIT_FAILED = 1
_EXIT_REFUSED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch, check and install; 0 also where nothing is new, 1 failed, 3 refused."""
    parser = argparse.ArgumentParser(
        prog="python -m nsgd.tag_fetch",
        description="Fetch Microsoft's service tags and install them for the daemon.",
    )
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        default=DOWNLOAD_PAGE,
        help="the .json file, or Microsoft's page with the link to it (%(default)s)",
    )
    parser.add_argument("--state-dir", metavar="DIR", type=Path, default=Path("/var/lib/nsgd"))
    parser.add_argument("--cloud", metavar="NAME", help="the cloud that the file must be of")
    args = parser.parse_args(argv)
    try:
        done = fetch(args.url, args.state_dir, cloud=args.cloud)
    except (TagFileRefused, UpdateRefused) as refused:
        return _fail(str(refused), _EXIT_REFUSED)
    except (FetchFailed, TagsInUseError) as error:
        return _fail(str(error), _EXIT_FAILED)
    except BlockingIOError:
        return _fail("another update is under way; try again", _EXIT_FAILED)
    except OSError as error:
        return _fail(f"{error}; let this user write service-tags in the directory", _EXIT_FAILED)
    for line in installation_lines(done):
        print(line)
    return 0


def _fail(message: str, code: int) -> int:
    for line in message.splitlines():
        print(f"nsgd-tags: {line}", file=sys.stderr)
    print("nsgd-tags: the installed file stays", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
