"""Texts about a soak."""

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.time_series import ServiceMetrics
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.monitoring.soak_report import format_limits, format_log_summary, format_samples


def sample(slot: int, *measurements: Measurement) -> Sample:
    return Sample(
        service="user", slot=slot, at=Timestamp(wall=slot, boottime=slot, boot="b"), measurements=measurements
    )


def test_samples_are_formatted_by_metric() -> None:
    service_metrics = ServiceMetrics()
    service_metrics.add(sample(1, Measurement(metric="availability", result=Result.SUCCESSFUL, value=0.5)))
    service_metrics.add(
        sample(2, Measurement(metric="availability", result=Result.FAILED, value=2.5, detail="HTTP 500"))
    )
    service_metrics.add(sample(2, Measurement(metric="drift", result=Result.SUCCESSFUL)))
    assert format_samples(service_metrics) == "availability: 1 successful, 1 failed; newest 2.5 (HTTP 500)"
    assert format_samples(ServiceMetrics()) == "no sample yet"


def test_limits_are_formatted_with_their_figures() -> None:
    text = format_limits(SoakSettings())
    assert text.splitlines()[0] == "a sample each 5 m for 48 h, after 1 m that are not judged"
    assert "more than 2.00% of the soak" in text


def test_exceptions_are_counted_by_fingerprint() -> None:
    """Lines are counted by kind; each exception has the number of samples it occurred in."""
    samples = [
        sample(
            1,
            Measurement(metric="exceptions", result=Result.SUCCESSFUL, value=3.0, detail="KeyError in a; IOError in b"),
        ),
        sample(2, Measurement(metric="exceptions", result=Result.FAILED, value=1.0, detail="new: KeyError in a")),
        sample(3, Measurement(metric="exceptions", result=Result.ERROR, detail="no engine")),
        sample(3, Measurement(metric="log errors", result=Result.SUCCESSFUL, value=0.0)),
    ]
    assert format_log_summary(samples).splitlines() == [
        "exceptions: 4",
        "log errors: 0",
        "  KeyError in a (in 2 samples)",
        "  IOError in b (in 1 samples)",
    ]
    assert format_log_summary([]) == "no log was read"
