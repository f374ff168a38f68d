"""What the writer has for the lag: the service that reports it, and its metrics if wished for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.engine import CaseCounter
from gateway.app.holidays import closed_days
from gateway.config import Settings
from gateway.domain.lag import LagRules
from gateway.edges.rpc.lag import LagService
from gateway.edges.rpc.server import Method
from gateway.store.by_steps import StepStore
from gateway.store.by_steps_beside import StepFilings
from gateway.usecases.door import Door
from gateway.usecases.lag_report import LagLimits, LagReporter

if TYPE_CHECKING:
    from gateway.app.metrics import LagMetrics


class Lag:
    """Reads cases over a connection of its own, so that no registration waits for a report."""

    def __init__(
        self,
        settings: Settings,
        store: StepStore,
        filings: StepFilings,
        count_cases: CaseCounter,
        door: Door,
    ) -> None:
        limits = settings.limits
        rules = LagRules(settings.rules.is_unnumbered_found_by_number)
        self._filings = filings
        self._service = LagService(
            LagReporter(
                self._filings,
                door,
                rules,
                closed_days,
                LagLimits(limits.lag_cases_max, limits.lag_days_max, limits.lag_employers_max),
            )
        )
        self.metrics: LagMetrics | None = None
        store.lag_rules = rules
        if settings.metrics is not None:
            from gateway.app.metrics import LagMetrics

            self.metrics = LagMetrics(count_cases, settings.metrics.port)
            store.on_passed = self.metrics.observe

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return self._service.methods()

    async def close(self) -> None:
        """Close the connection, and the metrics' endpoint."""
        if self.metrics is not None:
            await self.metrics.close()
        await self._filings.close()
