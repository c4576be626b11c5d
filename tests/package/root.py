"""A clean Debian in a directory: made once, copied for each run, and listed file by file."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

SUITE = "bookworm"
# What a machine has anyway: an init, and what looks at what the package has done.
_INCLUDED = ("ca-certificates", "dbus", "iproute2", "man-db", "nftables", "systemd-sysv")
# Changed by every use of the machine, whatever is installed on it.
_NOT_COMPARED = {
    *("boot", "dev", "proc", "root", "run", "sys", "tmp", "etc/machine-id", "etc/resolv.conf"),
    *("var/cache", "var/log", "var/tmp", "var/lib/apt", "var/lib/dbus", "var/lib/dpkg"),
    *("var/lib/systemd/catalog", "var/lib/systemd/random-seed"),
}


def make_root(cache: Path, target: Path) -> None:
    """Make *target* a new Debian; *cache* keeps an archive of it for the next time."""
    archive = cache / f"{SUITE}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = cache / f"{SUITE}.new"
        shutil.rmtree(made, ignore_errors=True)
        included = f"--include={','.join(_INCLUDED)}"
        _run(["debootstrap", "--variant=minbase", included, SUITE, str(made), _mirror()])
        partial = archive.with_suffix(".part")
        _run(["tar", "--numeric-owner", "-C", str(made), "-cf", str(partial), "."])
        partial.rename(archive)
        shutil.rmtree(made)
    target.mkdir()
    _run(["tar", "--numeric-owner", "-C", str(target), "-xf", str(archive)])
    _let_it_fetch(target)


def _mirror() -> str:
    """Where this machine has its packages of the same Debian from, as apt knows it."""
    described = ["--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    for line in _run(["apt-get", "indextargets", *described]).splitlines():
        uri, *place = line.split()
        if place == [SUITE, "main"]:
            return uri
    raise SystemExit(f"apt has no source for {SUITE} main, so there is nothing to make a root from")


def _let_it_fetch(root: Path) -> None:
    """apt inside gets its packages as apt outside does."""
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for configured in ("sources.list", "sources.list.d", "apt.conf.d", "keyrings"):
        source = Path("/etc/apt") / configured
        copy = root / "etc/apt" / configured
        if source.is_file():
            shutil.copy(source, copy)
        elif source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
    for path in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
        if Path(path).exists():
            (root / path[1:]).unlink(missing_ok=True)
            shutil.copy(path, root / path[1:])
    # Nothing is started by what is installed before the machine runs.
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)


def install_needed(root: Path, package: Path) -> list[str]:
    """Install what the package depends on and recommends, and not the package; its names.

    A package that forgets a dependency does not work in this root.
    """
    shutil.copy(package, root / "tmp" / package.name)
    inside = f"/tmp/{package.name}"
    _inside(root, "apt-get", "-qq", "update")
    planned = _inside(root, "apt-get", "-s", "-qq", "install", inside)
    names = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    names.remove("nsgd")
    if names:
        _inside(root, "apt-get", "-qq", "-y", "install", *names)
    (root / "usr/sbin/policy-rc.d").unlink()
    return names


def _inside(root: Path, *command: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    return _run(["chroot", str(root), *command], environment)


def files(root: Path) -> dict[str, str]:
    """Every path with its kind, mode, owner and content, but for what use alone changes."""
    return dict(_files(root, Path()))


def _files(root: Path, below: Path) -> Iterator[tuple[str, str]]:
    for entry in sorted(os.scandir(root / below), key=lambda entry: entry.name):
        path = below / entry.name
        if str(path) in _NOT_COMPARED:
            continue
        status = entry.stat(follow_symlinks=False)
        about = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
        if entry.is_symlink():
            yield str(path), f"{about} {os.readlink(entry.path)}"
        elif entry.is_dir():
            yield str(path), about
            yield from _files(root, path)
        elif entry.is_file():
            yield str(path), f"{about} {sha256(Path(entry.path).read_bytes()).hexdigest()}"


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    # Some of these are in directories of root's that a user's PATH need not have.
    environment = {**(environment or os.environ)}
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
