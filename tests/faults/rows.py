"""All rows of the table of faults."""

from __future__ import annotations

from tests.faults.fault import Section
from tests.faults.rows_host import HOST
from tests.faults.rows_inputs import DOCUMENTS, STATE, TAG_FILES
from tests.faults.rows_kernel import KERNEL, OTHERS
from tests.faults.rows_packets import PACKETS
from tests.faults.rows_processes import PROCESSES

SECTIONS: tuple[Section, ...] = (
    PROCESSES,
    KERNEL,
    PACKETS,
    OTHERS,
    HOST,
    DOCUMENTS,
    TAG_FILES,
    STATE,
)
