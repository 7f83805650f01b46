"""A part of t58-contract.sh."""
import subprocess

from proxy import (Client, HOST, ask, fail, post, quote, refused, wait_value,
                   want, want_reply)

client = Client("socket")
for name, kind in (("socket_total", {"Counter": {"value": 0}}),
                   ("socket_level", {"Gauge": {"min": 0, "max": 0, "hits": 0, "total": 0}})):
    client.send({"Desc": {"name": name, "doc": "Of a client", "ctype": kind}})
client.counter("socket_total", 0.5)
client.gauge("socket_level", -2)
wait_value("socket_total", 0.5, "socket")
post("/set", {"key": "set_total", "value": 1e15, "doc": "Set"})
post("/accumulate", {"key": 'set_total{k="v"}', "value": 0.1, "doc": "Set"})
wait_value('set_total{k="v"}', 0.1)

jobs = [job["jobid"] for job in ask("/job/list").json()]
want("jobs", set(jobs), {"main", "Node: " + HOST, "one", "two words", 'th"r\\ee', "socket"})
profiles = ask("/profiles").json()
want("profiles", len(profiles), 2)
ids = sorted(job["jobid"] for job in profiles)
want("two runs of one id", ids, ["ended", f"ended@{min(j['start_time'] for j in profiles)}"])
paths = [("/job/list", "joblist"), ("/joblist", "joblist"), ("/job", "jobs"),
         ("/profiles", "profiles"), ("/profiles/percmd", "percmd"), ("/percmd", "percmd"),
         ("/alarms", "alarms"), ("/alarms/list", "alarms"), ("/join/list", "joins"),
         ("/topo", "topo"), ("/period", "period"), ("/api/v1/status", "status"),
         ("/api/v1/sd", "discovery"), ("/-/healthy", "success"), ("/-/ready", "success"),
         ("/job?metric=rich_level", "jobs"), ("/metrics?job=*", "metrics-text"),
         ("/metrics", "metrics-text")]
for job in jobs:
    paths += [(f"/job?job={quote(job)}", "job"), (f"/job?job={quote(job)}&by=node", "nodes"),
              (f"/job?job={quote(job)}&metric=rich_level", "job"),
              (f"/metrics?job={quote(job)}", "metrics-text")]
paths += [(f"{path}?jobid={quote(i)}", "profile") for i in ids for path in ("/get", "/profiles/get")]
for path, kind in paths:
    want_reply(path, ask(path), 200, kind)
for path, status in (("/job?job=x", 404), ("/get?jobid=ended@1", 404), ("/set?key=a", 400),
                     ("/nothing", 404), ("/metrics?job=x", 404), ("/job?job=x&by=node", 404),
                     ("/accumulate?key=rich_level&value=1", 409)):
    refused(path, ask(path), status)
refused("POST", ask("/job", "POST"), 405)
accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
for path in ("/metrics", "/metrics?job=*", "/metrics?job=one"):
    want_reply("OpenMetrics " + path, ask(path, headers=accept), 200, "openmetrics-text")

# The same number everywhere.


def values(entries):
    return {c["name"]: next(iter(c["ctype"].values())) for c in entries}


profile = ask("/get?jobid=ended").json()
want("size", profile["desc"]["size"], 4)
v = values(profile["counters"])
want("integers", v["rich_hits_total"]["value"], 4000000000000006)
want("labels", v['rich_labelled_total{a="x \\"y\\" \\\\ z",b="\u00e9"}']["value"], 12)
want("gauge", [v["rich_level"][k] for k in ("min", "max", "hits", "total")], [-1.5, 1.5, 4, 0])
want("buckets", [v[f'rich_size_bytes_bucket{{le="{le}"}}']["value"] for le in
                 ("0.1", "1", "2.5", "+Inf")], [4, 12, 28, 40])
ranks = {c["name"]: c["ranks"] for c in profile["counters"] if "ranks" in c}
want("ranks", [ranks["rich_seconds_total"][k] for k in ("n", "min_rank", "max_rank")], [4, 0, 3])
raw = ask("/get?jobid=ended").body.decode()
want("integer literals", '"value":4000000000000006' in raw, True)

# What promtool finds are published names only.
PUBLISHED = ("proxy_", "posix___", "mpi___", "strace___", "total___", "func__", "has_", "walltime")
NEW = ("proxy_disk_read_", "proxy_disk_written_", "proxy_disk_io_", "proxy_pressure_",
       "proxy_energy_", "proxy_load1", "proxy_context_", "proxy_uptime_")
for path in ("/metrics", "/metrics?job=*"):
    lint = subprocess.run(["promtool", "check", "metrics"], input=ask(path).body,
                          capture_output=True)
    want(f"promtool on {path} ({lint.stderr[:300]!r})", lint.returncode in (0, 3), True)
    for line in (lint.stderr + lint.stdout).decode().splitlines():
        name = line.split(" ")[0]
        if not name.startswith(PUBLISHED) or name.startswith(NEW):
            fail(f"promtool on {path}: {line}")
