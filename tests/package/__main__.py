"""``python -m tests.package PACKAGE.deb``: install, use, upgrade, reboot, remove and purge it.

In a clean root of its own, booted with systemd as process 1 and a network of its own. Run as root,
on Debian; needs debootstrap, systemd-nspawn and lintian, and says so where they are missing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.package import steps
from tests.package.machine import Machine
from tests.package.root import files, install_needed, make_root
from tests.package.upgrade import next_release

CACHE = Path(__file__).parents[2] / "build" / "roots"
_NEEDED = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "lintian": "lintian",
    "nsenter": "util-linux",
}


def main() -> int:
    """Run all steps; the first that fails ends it."""
    package = Path(sys.argv[1]).resolve()
    missing = [name for tool, name in _NEEDED.items() if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"missing packages: apt-get install {' '.join(missing)}")
    say(f"package: {package.name}")
    judged = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", "--info", package],
        capture_output=True,
        text=True,
        check=False,
    )
    say(f"lintian: {judged.stdout.strip() or 'nothing to say'}")
    if judged.returncode != 0:
        return 1
    with tempfile.TemporaryDirectory(prefix="nsgd-package-") as directory:
        return in_clean_root(package, Path(directory))


def in_clean_root(package: Path, directory: Path) -> int:
    """The steps inside; *directory* is an empty one."""
    root = directory / "root"
    make_root(CACHE, root)
    names = install_needed(root, package)
    say(f"needed and recommended in a clean Debian: {' '.join(names) or 'nothing'}")
    newer = next_release(package, directory)
    for deb in (package, newer):
        shutil.copy(deb, root / "root" / deb.name)
    log = directory / "console.log"
    machine = Machine(root, log)
    try:
        say(f"booted: systemd {machine.run('systemctl', '--version').stdout.split()[1]}")
        before = files(root)
        steps.install(machine, f"/root/{package.name}")
        steps.look(machine)
        with steps.gateway(machine) as hosts:
            steps.enforce(machine)
            steps.privileges(machine)
            steps.sandboxes(machine)
            steps.survive(machine)
            steps.upgrade(machine, hosts, f"/root/{newer.name}")
            steps.stop_and_start(machine, hosts)
        machine.close()
        machine = Machine(root, log)
        steps.after_boot(machine)
        steps.remove_and_purge(machine)
        steps.compare(before, files(root))
    except BaseException:
        sys.stderr.write(machine.run("journalctl", "-b", "-n", "60", check=False).stdout)
        raise
    finally:
        machine.close()
    say("all of it as it should be")
    return 0


def say(text: str) -> None:
    """A line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
