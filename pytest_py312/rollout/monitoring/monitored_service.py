"""A service of a deployed stage as it is monitored: its probes, and the rules by which its metrics are judged. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_py312.repository.plan.rollout_settings import CompareSettings, MetricSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS_SUFFIX, ErrorBudget
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX
from pytest_py312.rollout.metrics.resource_usage import CONTROL_MEMORY, MEMORY
from pytest_py312.rollout.monitoring.probes import LATENCY, Probe
from pytest_py312.rollout.monitoring.traffic import is_traffic_latency, traffic_latencies


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRule:
    """Settings of one metric of a service."""

    settings: MetricSettings
    limits: SoakSettings
    compare: CompareSettings = field(default_factory=CompareSettings)


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitoredService:
    """A monitored service with its probes and those of its control, if one runs.

    ``rules`` are those of the plan's metrics by name; all other metrics follow ``settings``.
    """

    service: str
    probes: tuple[Probe, ...]
    control_probes: tuple[Probe, ...] = ()
    no_control_reason: str = ""
    """Why there is no control although the plan has one."""
    critical: bool = False
    settings: SoakSettings = field(default_factory=SoakSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    rules: Mapping[str, MetricRule] = field(default_factory=dict)
    budgets: Mapping[str, ErrorBudget] = field(default_factory=dict)
    """Error budget by metric; the metric is a share of errors."""

    def rule_for(self, metric: str) -> MetricRule:
        """Return the rule of ``metric``."""
        planned = self.rules.get(metric)
        compare = self.compare
        if is_traffic_latency(metric):  # of several comparisons, more are significant by chance alone
            count = max(1, len(traffic_latencies(self.settings.load)))
            compare = replace(compare, confidence=1 - (1 - compare.confidence) / count)
        return planned or MetricRule(
            settings=MetricSettings(name=metric, provider=""), limits=self.settings, compare=compare
        )

    def is_compared(self, metric: str) -> bool:
        """Return whether ``metric`` is compared with the control.

        Apart from latencies and error budgets, only metrics of the plan are: the ratio of any count to 0 is infinite.
        """
        return (
            metric in self.latency_metrics
            or metric in self.rules
            or metric.removesuffix(REQUESTS_SUFFIX) in self.budgets
        )

    @property
    def latency_metrics(self) -> frozenset[str]:
        return frozenset({LATENCY, *traffic_latencies(self.settings.load)})

    @property
    def memory_metric(self) -> str:
        """The metric that measures memory: that of the plan if it has one, which replaces the usual one."""
        planned = (rule.settings for rule in self.rules.values() if rule.settings.provider == "docker")
        return next((metric.name for metric in planned if (metric.query or metric.name) == MEMORY), MEMORY)

    @property
    def value_metrics(self) -> frozenset[str]:
        """Metrics whose values are needed later, not only their results."""
        compared = {*self.latency_metrics, *self.rules} if self.control_probes else set()
        counted = {*self.budgets, *(metric + REQUESTS_SUFFIX for metric in self.budgets)}
        metrics = compared | counted
        return frozenset(
            {self.memory_metric, CONTROL_MEMORY, *metrics, *(CONTROL_PREFIX + metric for metric in metrics)}
        )
