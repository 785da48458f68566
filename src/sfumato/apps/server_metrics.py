"""Count requests, jobs and seconds for Prometheus; nothing is measured that says who asked or what was painted."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sfumato.jobs.job import Job
from sfumato.jobs.queue import Load

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Upper ends in seconds of what latencies are counted in."""


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sfumato_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "sfumato_request_seconds",
            "Seconds from the first byte to the last.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._jobs = Counter("sfumato_jobs", "Jobs ended.", ["kind", "state"], registry=self._registry)
        self._waited = Histogram(
            "sfumato_job_waiting_seconds",
            "Seconds that jobs waited for their turn.",
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "sfumato_stage_seconds",
            "Seconds of each stage.",
            ["stage"],
            buckets=BUCKETS,
            registry=self._registry,
        )

    def watch(self, load: Callable[[], Load], budget: int) -> None:
        """Show how much there is to do whenever the metrics are read."""
        shown = {
            "sfumato_jobs_waiting": ("Jobs that wait.", lambda: load().waiting),
            "sfumato_jobs_running": ("Jobs that run.", lambda: load().running),
            "sfumato_memory_used_bytes": (
                "Memory that running jobs are estimated to take.",
                lambda: load().memory,
            ),
            "sfumato_memory_budget_bytes": ("Memory that jobs may take together.", lambda: budget),
        }
        for name, (text, value) in shown.items():
            Gauge(name, text, registry=self._registry).set_function(value)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is its pattern, so that no id is kept."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    def count_job(self, job: Job) -> None:
        """Count a job that has ended."""
        self._jobs.labels(job.work.kind, job.state).inc()
        if job.started is not None:
            self._waited.observe(max(0.0, job.started - job.created))
        for stage, seconds in job.report.get("timings", {}).items():
            self._stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """Return all of it in Prometheus' format."""
        return generate_latest(self._registry)
