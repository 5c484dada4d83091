"""Events and fields that were not taken are counted, under the source that sent them."""

from tests.unit.adapters.telemetry.test_metrics import Process, engine_of, exposed


def test_rejected_events_and_ignored_fields_are_exposed_from_the_start() -> None:
    """A configured source stands at 0; one the configuration does not name appears with its first."""
    process = Process()
    series = exposed(engine_of(), 0, process)
    rejected = "delivery_events_total{outcome=rejected,source=%s,type=unknown}"
    assert (series[rejected % "shop"], series["delivery_monitor_ignored_fields_total{}"]) == (0, 0)
    process.left_out.count("shop", rejected=2, ignored_fields=0)
    process.left_out.count("shop", rejected=1, ignored_fields=3)
    process.left_out.count("default", rejected=0, ignored_fields=1)
    process.left_out.count("other-key", rejected=1, ignored_fields=0)
    series = exposed(engine_of(), 0, process)
    assert (series[rejected % "shop"], series[rejected % "other-key"]) == (3, 1)
    assert rejected % "default" not in series
    assert series["delivery_monitor_ignored_fields_total{}"] == 4
