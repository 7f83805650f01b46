"""A part of t20-daemon-routes.sh."""
import gzip
import os
import pathlib
import re

import schema
from proxy import Client, HOST, ask, counters, post, refused, wait_until, want, want_reply

# Data: path, kind of reply, content type.
JSON = "application/json"
for path, kind, content in (
        ("/job/list", "joblist", JSON), ("/joblist", "joblist", JSON),
        ("/job", "jobs", JSON), ("/job?job=main", "job", JSON),
        ("/job?job=a%20job", "job", JSON), ("/job?job=Node:%20" + HOST, "job", JSON),
        ("/job?job=main&by=node", "nodes", JSON),
        ("/job?job=a%20job&by=node", "nodes", JSON),
        ("/job?job=main&metric=proxy_cpu_total", "job", JSON),
        ("/metrics", "metrics-text", "text/plain; version=0.0.4"),
        ("/metrics?job=a%20job", "metrics-text", "text/plain; version=0.0.4"),
        ("/metrics?job=*", "metrics-text", "text/plain; version=0.0.4"),
        ("/api/v1/sd", "discovery", JSON), ("/api/v1/status", "status", JSON),
        ("/alarms", "alarms", JSON), ("/alarms/list", "alarms", JSON),
        ("/profiles", "profiles", JSON), ("/profiles/percmd", "percmd", JSON),
        ("/percmd", "percmd", JSON), ("/join/list", "joins", JSON), ("/topo", "topo", JSON),
        ("/period", "period", JSON), ("/-/healthy", "success", JSON),
        ("/-/ready", "success", JSON)):
    for form in (path, path.replace("?", "/?") if "?" in path else path + "/"):
        reply = want_reply(form, ask(form), 200, kind)
        want(f"content type of {form}", reply.headers["content-type"], content)
    head = ask(path, "HEAD")
    want(f"HEAD {path}", (head.status, head.body), (200, b""))
    # Groups that were pushed are deleted at /metrics.
    others = ("PATCH",) if path.startswith("/metrics") else ("DELETE", "PATCH")
    for method in others:
        reply = ask(path, method)
        refused(f"{method} {path}", reply, 405)
        want(f"Allow of {path}", reply.headers["allow"],
             "GET, HEAD, DELETE" if path.startswith("/metrics") else "GET, HEAD")

# What the table of routes says of every path holds.
allowed, typed_paths = {}, {}
table = pathlib.Path(os.environ["SUPPORT"], "../../libmproxy/daemon/routes.def").read_text()
for methods, path, types in re.findall(
        r'^MPX_ROUTE\(([^"]*), "([^"]*)", \w+, \w+, (NULL|MPX_TYPE_JSON|"[^"]*"),', table, re.M):
    allowed.setdefault(path.replace("*", "x"), set()).update(re.findall(r"MPX_(\w+)", methods))
    if types != "NULL":
        typed_paths[path.replace("*", "x")] = types
want("routes", len(allowed) > 20, True)
for path, methods in allowed.items():
    words = [word for method, word in (("GET", "GET, HEAD"), ("POST", "POST"), ("PUT", "PUT"),
                                       ("DELETE", "DELETE")) if method in methods]
    refused(f"PATCH {path}", ask(path, "PATCH"), 405)
    want(f"Allow of {path}", ask(path, "PATCH").headers["allow"], ", ".join(words))
    if "GET" in methods:
        want(f"{path} is there", ask(path, "HEAD").status in (200, 400), True)
for path, types in typed_paths.items():
    for method in allowed[path] - {"GET"} if types != '"*/*"' else ():
        refused(f"type of {path}", ask(path, method, "x", {"Content-Type": "x/y"}), 415)

# Pages.
for path in ("/", "/index.html", "/is_admire_proxy.html", "/is_admire_proxy.html/"):
    reply = ask(path)
    want(f"status of {path}", reply.status, 200)
    want(f"type of {path}", reply.headers["content-type"], "text/html; charset=utf-8")
    want(f"{path} is a page", b"<html" in reply.body, True)
want("the page of recognition", b"<html>" in ask("/is_admire_proxy.html").body, True)

# What is left out, and what is not.
jobs = {job["desc"]["jobid"]: job for job in ask("/job").json()}
want("jobs", set(jobs), {"main", "Node: " + HOST, "a job"})
want("the node's description", jobs["Node: " + HOST]["desc"]["nodelist"], HOST)
want("main's description", ask("/job/list").json()[0], {
    "jobid": "main", "command": "Sum of all Jobs", "size": 0, "nodelist": "",
    "partition": "", "cluster": "", "run_dir": "", "start_time": 0, "end_time": 0})
only = ask("/job?job=main&metric=proxy_cpu_total").json()["counters"]
want("?metric=", [entry["name"] for entry in only], ["proxy_cpu_total"])
want("?fields=desc", {tuple(job) for job in ask("/job?fields=desc").json()}, {("desc",)})
want("self metrics in main", "mproxy_uptime_seconds" in counters("main"), True)
want("self metrics in the node", "mproxy_jobs" in counters("Node: " + HOST), True)
want("self metrics in a job",
     [name for name in counters("a job") if name.startswith("mproxy_")], [])
nodes = ask("/job?job=a%20job&by=node").json()["nodes"]
want("nodes of the job", [node["node"] for node in nodes], [HOST])
want("/topo", len(ask("/topo").json()), 1)
want("/period", ask("/period").json()["operation"], "100")
system = ask("/join/list").json()[0]
want("/join/list", (system["target_url"], system["ttype"], system["period"]),
     ("/system", "System", 0.1))
all_jobs = ask("/metrics?job=*").body.decode()
want("job_id labels", all('job_id="' in line for line in all_jobs.splitlines()
                          if not line.startswith("#")), True)

# Negotiation.
reply = ask("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,"
                                           "text/plain;version=0.0.4;q=0.5"})
want_reply("OpenMetrics", reply, 200, "openmetrics-text")
want("its type", reply.headers["content-type"],
     "application/openmetrics-text; version=1.0.0; charset=utf-8")
for accept in ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
               "application/openmetrics-text;q=0", "text/html, */*;q=0.8"):
    reply = ask("/metrics", headers={"Accept": accept})
    want(f"type for {accept}", reply.headers["content-type"], "text/plain; version=0.0.4")
reply = ask("/metrics", headers={"Accept-Encoding": "gzip"})
want("gzip", reply.headers["content-encoding"], "gzip")
want("what is packed", schema.check("metrics-text", gzip.decompress(reply.body)), [])
want("what it varies with", reply.headers["vary"], "Accept, Accept-Encoding")

# Refusals: the sentence names the parameter.
Client("gauges").gauge("a_gauge", 1)
wait_until("a gauge", lambda: "a_gauge" in counters())
for path, status, names in (
        ("/nothing", 404, "/nothing"), ("/job/other", 404, "/job/other"), ("//job", 404, ""),
        ("/job?job=none", 404, "'job'"), ("/job?job=", 404, "'job'"),
        ("/job?job=%FF%22", 404, "'job'"), ("/job?job=a%00b", 400, "%00"),
        ("/job?job=none&by=node", 404, "'job'"), ("/job?by=node", 400, "'job'"),
        ("/job?job=main&by=user", 400, "'by'"), ("/job?fields=all", 400, "'fields'"),
        ("/metrics?job=none", 404, "'job'"), ("/get?jobid=none", 404, "'jobid'"),
        ("/profiles/get", 400, "'jobid'"), ("/profiles/get?jobid=../../etc/x", 404, "'jobid'"),
        ("/profiles/get?jobid=" + "x" * 4000, 404, "'jobid'"),
        ("/profiles/extrap", 400, "'jobid'"), ("/profiles/extrap?jobid=none", 404, "'jobid'"),
        ("/job?jobid=main", 400, "'job'"), ("/job?job=main&Metric=a", 400, "'Metric'"),
        ("/job/list?job=main", 400, "'job'"), ("/joblist?x", 400, "'x'"),
        ("/metrics?jobid=main", 400, "'job'"), ("/metrics?job_id=x", 400, "'job_id'"),
        ("/accumulate", 400, "'key'"), ("/accumulate?key=k", 400, "'value'"),
        ("/accumulate?key=k&value=abc", 400, "'value'"),
        ("/accumulate?key=k&value=nan", 400, "'value'"),
        ("/accumulate?key=k&value=1e999", 400, "'value'"),
        ("/accumulate?key=k&value=-1", 400, "'value'"),
        ("/accumulate?key=k&value=0x10", 400, "'value'"),
        ("/accumulate?key=k&value=%201", 400, "'value'"),
        ("/set?key=k&value=-0.5", 400, "'value'"), ("/set?key=k", 400, "'value'"),
        ("/push", 400, "'key'"), ("/push?key=a%20b", 400, "'key'"),
        ("/push?key=a%7Bb", 400, "'key'"), ("/push?key=" + "k" * 2000, 400, "'key'"),
        ("/push?key=k&doc=" + "d" * 5000, 400, "'doc'"),
        ("/accumulate?key=k&value=1&job=none", 404, "'job'"),
        *((f"/{verb}?key={name}&value=1", 400, f"'key': '{name.split('%')[0]}")
          for verb in ("push", "set", "accumulate")
          for name in ("has_started", "has_finished%7Ba%3D%22b%22%7D", "walltime",
                       "proxy_cpu_total", "proxy_new_total", "mproxy_uptime_seconds",
                       "job_process_threads")),
        ("/accumulate?key=a_gauge&value=1", 409, "'key'")):
    refused(path, ask(path), status, names)
for path in ("/job?_=123", "/job?job=main&_=1", "/metrics?collect[]=cpu", "/job/list?_"):
    want(path, ask(path).status, 200)
want("a name that begins alike", ask("/accumulate?key=has_started_total&value=1").status, 200)

# Bodies.
for path in ("/push", "/accumulate", "/set"):
    refused("no type", ask(path, "POST", '{"key":"k"}'), 415, "Content-Type")
    refused("text", ask(path, "POST", "x", {"Content-Type": "text/plain"}), 415)
    typed = {"Content-Type": "application/json"}
    refused("not JSON", ask(path, "POST", '{"key":', typed), 400, "JSON")
    refused("an array", ask(path, "POST", "[1]", typed), 400, "object")
    refused("too large", ask(path, "POST", '"' + "a" * (2 << 20) + '"', typed), 413, "limit")
    refused("key", post(path, {"key": 7}), 400, "'key'")
    refused("PUT", ask(path, "PUT", "{}", typed), 405)
refused("value", post("/set", {"key": "k", "value": [1]}), 400, "'value'")
refused("value", post("/set", {"key": "k", "value": "abc"}), 400, "'value'")
refused("a body where none is taken", ask("/job", "POST", "{}", typed), 405)
