"""What keeps the memory of a big policy small."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A thread takes memory that Python's own allocator leaves to the C library, which then tells of
# its places.
ARENAS = """
import ctypes, os, sys, tempfile, threading
from nsgd.runtime.collection import keep_together
if sys.argv[1] == "together":
    keep_together()
c = ctypes.CDLL(None)
kept = []
thread = threading.Thread(target=lambda: kept.append(bytearray(100_000)))
thread.start()
thread.join()
c.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(c.fdopen(os.dup(file.fileno()), b"w"))
    c.malloc_info(0, stream)
    c.fclose(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr="))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the C library of Linux")
def test_threads_take_memory_from_one_place() -> None:
    """Otherwise from one each."""
    counted = [
        int(subprocess.check_output([sys.executable, "-c", ARENAS, how]))
        for how in ("together", "apart")
    ]
    assert counted == [1, 2]
