"""Metrics of each worker and of the queue that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from nsgd.observe.families import counter, gauges
from nsgd.observe.snapshot import WorkerSeen


def worker_metrics(workers: Sequence[WorkerSeen]) -> Iterator[Metric]:
    """A worker is called by its place, a queue by its number."""
    numbered = [(str(index), worker) for index, worker in enumerate(workers)]
    yield gauges(
        "nsgd_worker_up",
        "Whether a verdict worker serves; while 0, its queue's undecided flows follow the failure"
        " mode.",
        ("worker",),
        [((index,), worker.pid is not None) for index, worker in numbered],
    )
    yield counter(
        "nsgd_worker_restarts",
        "Verdict workers started in place of one that died or failed.",
        ("worker",),
        [((index,), worker.restarts) for index, worker in numbered],
    )
    yield gauges(
        "nsgd_queue_readable",
        "Whether a queue's state could be read; while 0, its other queue metrics are absent.",
        ("queue",),
        [((str(worker.queue_number),), worker.queue is not None) for worker in workers],
    )
    queues = [(str(w.queue.number), w.queue) for w in workers if w.queue is not None]
    if not queues:
        return
    yield gauges(
        "nsgd_queue_depth",
        "Packets that wait in a queue now.",
        ("queue",),
        [((number,), queue.length) for number, queue in queues],
    )
    yield gauges(
        "nsgd_queue_max_length",
        "Packets that may wait in a queue; the kernel drops what comes then.",
        ("queue",),
        [((number,), queue.max_length) for number, queue in queues],
    )
    yield counter(
        "nsgd_queue_dropped",
        "Packets that the kernel dropped at a queue since the present worker bound it.",
        ("queue", "reason"),
        [
            sample
            for number, queue in queues
            for sample in (
                ((number, "queue_full"), queue.dropped_full),
                ((number, "socket"), queue.dropped_socket),
            )
        ],
    )
