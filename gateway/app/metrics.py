"""
The writer's lag as Prometheus metrics, on a loopback port of its own; off unless settings name it.

Labels are stages and waits alone: no insurer, employer or person is told apart. The library is
imported when it is needed, so that a gateway without metrics does not pay for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from gateway.store.steps_batch import Passed

if TYPE_CHECKING:
    from prometheus_client.metrics_core import GaugeMetricFamily

HOST: Final = "127.0.0.1"
OPEN_CASES_S: Final = 15.0
"""How old the count of open cases may be: counting them looks at every case."""

_HOUR_S: Final = 3_600.0
_DAY_S: Final = 24 * _HOUR_S
BUCKETS_S: Final = (
    *(0.1, 1.0, 10.0, 60.0, 600.0, _HOUR_S, 6 * _HOUR_S),
    *(days * _DAY_S for days in (1, 2, 3, 4, 5, 7, 10, 14, 21, 30, 60)),
)


class OpenCasesGauge:
    """Counts open cases when it is asked, but not at every question."""

    def __init__(
        self, count: Callable[[], tuple[int, int]], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._clock_s = clock_s
        self._counted_s: float | None = None
        self._counts = (0, 0)
        self._lock = threading.Lock()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauge, by what is waited for."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        with self._lock:
            now_s = self._clock_s()
            if self._counted_s is None or now_s - self._counted_s >= OPEN_CASES_S:
                self._counts = self._count()
                self._counted_s = now_s
        gauge = GaugeMetricFamily("onshi_lag_open_cases", "Cases that wait.", labels=["wait"])
        for wait, count in zip(("link", "card_visible"), self._counts, strict=True):
            gauge.add_metric([wait], count)
        yield gauge


class LagMetrics:
    """The histograms and gauges, and the endpoint that shows them."""

    def __init__(self, count_cases: Callable[[], tuple[int, int]], port: int) -> None:
        """
        Serve on a loopback port; 0 takes a free one.

        Raises:
            OSError: If the port is taken.
        """
        from prometheus_client import CollectorRegistry, Histogram, start_http_server

        registry = CollectorRegistry()
        self._lags = Histogram(
            "onshi_lag_seconds",
            "From one stage of a case to the next; an early filing counts as none.",
            ["stage"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        registry.register(OpenCasesGauge(count_cases))
        self._server, self._thread = start_http_server(port, HOST, registry)
        self.port = self._server.server_port

    def observe(self, passed: Sequence[Passed]) -> None:
        """Count stages that were passed."""
        for stage, lag_s in passed:
            self._lags.labels(stage.value).observe(max(lag_s, 0.0))

    async def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
