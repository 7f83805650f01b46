#!/usr/bin/env python3
"""told.py JOB [NAME=VALUE | NAME>=VALUE | NAME=none | partial=yes|no]...

Waits for a job's profile and compares: the values of counters and gauges (their total), and
whether it says of this node that something was not counted. `uncounted.REASON` stands for
mproxy_processes_uncounted_total{reason="REASON"}.

What does not fit is printed with all that the proxy says of what was not counted, and its log,
whose path is in $LOG.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from proxy import HOST, ask, fail, quote, wait_until, want, want_reply  # noqa: E402


def is_stored(reply):
    return reply.status == 200 and not reply.json().get("provisional")


def profile_of(job):
    path = "/profiles/get?jobid=" + quote(job)
    wait_until(f"the profile of {job}", lambda: is_stored(ask(path)))
    return want_reply(path, ask(path), 200, "profile").json()


def values_of(profile):
    values = {}
    for entry in profile["counters"]:
        kind, value = next(iter(entry["ctype"].items()))
        values[entry["name"]] = value["value" if kind == "Counter" else "total"]
    return values


def long_name(name):
    start = "uncounted."
    if not name.startswith(start):
        return name
    return f'mproxy_processes_uncounted_total{{reason="{name[len(start):]}"}}'


def tell_uncounted(profile, values):
    """To stderr: what the profile and the proxy say was not counted."""
    print("partial:", profile["partial"], file=sys.stderr)
    for name, value in values.items():
        if name in ("has_started", "has_finished", "has_left") or "uncounted" in name:
            print(f"{name}: {value}", file=sys.stderr)
    for line in ask("/metrics").body.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(("mproxy_refused", "mproxy_bad")) and float(value) != 0:
            print(line, file=sys.stderr)
    if os.environ.get("LOG"):
        with open(os.environ["LOG"], encoding="utf-8", errors="replace") as log:
            sys.stderr.write(log.read())


def check(job, text, profile, values):
    name, _, wanted = text.rpartition("=")
    at_least = name.endswith(">")
    name = long_name(name.removesuffix(">"))
    if name == "partial":
        want(f"{job}: partial", profile["partial"], [HOST] if wanted == "yes" else [])
    elif wanted == "none":
        want(f"{job}: {name}", values.get(name), None)
    elif at_least:
        if values.get(name, 0) < float(wanted):
            fail(f"{job}: {name} is {values.get(name)}, should be at least {wanted}")
    else:
        want(f"{job}: {name}", values.get(name), float(wanted))


def main(job, *texts):
    profile = profile_of(job)
    values = values_of(profile)
    try:
        for text in texts:
            check(job, text, profile, values)
    except SystemExit:
        tell_uncounted(profile, values)
        raise


main(*sys.argv[1:])
