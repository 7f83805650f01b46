"""A part of t29-prometheus.sh."""
import http.client
import json
import os
import threading
import time

from proxy import Client, counters, fail, quote, wait_until, want


def query(text):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", os.environ["PROMETHEUS_PORT"],
                                                timeout=5)
        connection.request("GET", "/api/v1/query?query=" + quote(text))
        result = json.loads(connection.getresponse().read())["data"]["result"]
        return {tuple(sorted(item["metric"].items())): float(item["value"][1])
                for item in result}
    except (OSError, ValueError, KeyError):
        return {}

stop = threading.Event()


def push():
    client = Client("rate")
    while not stop.wait(0.05):
        client.counter("rate_total", 1)
threading.Thread(target=push, daemon=True).start()


def first(text):
    values = query(text)
    return next(iter(values.values())) if values else None

wait_until("up == 1", lambda: first('up{job="node"}') == 1, 60)
# All jobs in one exposition: the target is up, and no label is lost.
wait_until("up of all jobs", lambda: first('up{job="all"}') == 1, 60)
wait_until("both labels and the job's", lambda: first(
    'both_total{job="all",job_id="main",exported_job_id="a",exported_exported_job_id="b"}') == 7, 60)
wait_until("the jobs by service discovery",
           lambda: len([v for v in query('up{job="jobs"}').values() if v == 1]) >= 5, 60)


def job_ids():
    return {dict(labels).get("job_id") for labels in query('has_started{job="jobs"}')}
wait_until("the job ids as labels", lambda: {"one", "two", 'th"r\\ee'} <= job_ids(), 60)
want("CPUs", first('proxy_cpu_total{job="node"}'), counters()["proxy_cpu_total"][1])
wait_until("ten seconds of the counter",
           lambda: (first('count_over_time(rate_total{job="node"}[20s])') or 0) >= 10, 60)
before, start = counters()["rate_total"], time.monotonic()
wait_until("a hundred more", lambda: counters()["rate_total"] >= before + 100, 60)
ours = (counters()["rate_total"] - before) / (time.monotonic() - start)
theirs = first('rate(rate_total{job="node"}[8s])')
stop.set()
if not 0.75 < theirs / ours < 1.33:
    fail(f"rates disagree: {ours} by our reply, {theirs} by Prometheus")
