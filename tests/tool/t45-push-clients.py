"""A part of t45-push-clients.sh."""
import os
import subprocess
import urllib.error

import prometheus_client as client

from pushgateway import Pushgateway, Server, pushed, types
from proxy import fail, wait_until, want

OURS, THEIRS = Server(os.environ["URL"].removeprefix("http://")), Pushgateway()


def registry():
    """One metric of each type."""
    all_of = client.CollectorRegistry()
    client.Counter("py_counter", "A counter", ["l"], registry=all_of).labels('a"b\\c\nd').inc(3)
    client.Gauge("py_gauge", "A gauge", registry=all_of).set(-1.5)
    histogram = client.Histogram("py_histogram", "A histogram", registry=all_of)
    summary = client.Summary("py_summary", "A summary", registry=all_of)
    for i in range(50):
        histogram.observe(i / 7)
        summary.observe(i)
    client.Info("py", "An info", registry=all_of).info({"version": "1"})
    client.Enum("py_state", "States", states=["on", "off"], registry=all_of).state("off")
    return all_of


def gauge(name, value):
    one = client.CollectorRegistry()
    client.Gauge(name, "A gauge", registry=one).set(value)
    return one


def both(what, act):
    """Do it to both; what they show is the same, but for when things were created."""
    for server in THEIRS, OURS:
        act(server.address)

    def shown(server):
        return {key: value for key, value in pushed(server.page()).items()
                if not key[0].endswith("_created")}
    theirs = shown(THEIRS)
    try:
        wait_until("", lambda: shown(OURS) == theirs)
    except SystemExit:
        fail(f"{what}: is {shown(OURS)}, should be {theirs}")
    ours = types(OURS.page())
    for name, kind in types(THEIRS.page()).items():
        # The parts of a summary are counters and gauges here.
        if name.startswith(("py_", "go_")) and kind != "summary" and name in ours:
            want(f"{what}: type of {name}", ours[name], kind)
    return theirs


def key(address):
    return {"instance": "h/1", "empty": "", "path": "/var/tmp"}


def python():
    if not both("push_to_gateway", lambda a: client.push_to_gateway(
            a, "py job", registry(), grouping_key=key(a))):
        fail("push_to_gateway: nothing is shown")
    both("pushadd_to_gateway", lambda a: client.pushadd_to_gateway(
        a, "py job", gauge("py_more", 2), grouping_key=key(a)))
    both("push_to_gateway again", lambda a: client.push_to_gateway(
        a, "py job", gauge("py_gauge", 4), grouping_key=key(a)))
    both("another group", lambda a: client.push_to_gateway(a, "b", gauge("py_gauge", 5)))
    both("delete_from_gateway", lambda a: client.delete_from_gateway(
        a, "py job", grouping_key=key(a)))
    try:
        client.push_to_gateway(OURS.address, "py job", gauge("py_gauge", 1), grouping_key={"-": ""})
    except urllib.error.HTTPError as error:
        want("status of a bad label", error.code, 400)
    else:
        fail("a bad label is taken")


def go():
    program = os.environ["GO_CLIENT"]
    for encoding in "default", "text":
        for verb in "push", "add", "delete", "push":
            def act(address, verb=verb, encoding=encoding):
                run = subprocess.run([program, f"http://{address}", verb, encoding],
                                     stdout=subprocess.PIPE, check=False)
                want(f"Go, {verb}, {encoding}: {run.stdout}", run.returncode, 0)
            shown = both(f"Go, {verb}, {encoding}", act)
            want(f"samples after {verb}", any(name.startswith("go_") for name, _ in shown),
                 verb != "delete")


def curl():
    both("curl", lambda a: subprocess.run(
        ["curl", "-sf", "--data-binary", "@-", f"http://{a}/metrics/job/curl/instance/i"],
        input=b"# TYPE curl_total counter\ncurl_total 1\ncurl_x 2.5\n", check=True,
        stdout=subprocess.DEVNULL))
    both("curl -X PUT", lambda a: subprocess.run(
        ["curl", "-sf", "-X", "PUT", "-d", "curl_x 3\n",
         f"http://{a}/metrics/job/curl/instance/i"], check=True, stdout=subprocess.DEVNULL))
    both("curl -X DELETE", lambda a: subprocess.run(
        ["curl", "-sf", "-X", "DELETE", f"http://{a}/metrics/job/curl/instance/i"],
        check=True, stdout=subprocess.DEVNULL))


try:
    python()
    if "GO_CLIENT" in os.environ:
        go()
    curl()
finally:
    THEIRS.close()
