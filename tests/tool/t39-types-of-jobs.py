"""A part of t39-types-of-jobs.sh."""
import os
import subprocess

from proxy import ask, counters, wait_until, wait_value, want


def start(job, kind, value):
    return subprocess.Popen(
        [os.environ["BIN"] + "/proxy_run", "-u", os.environ["SOCKET"], "-j", job, "--",
         os.environ["TYPED"], kind, str(value)], stdin=subprocess.PIPE)


def end(process, job):
    """Ends it; its profile's entries by name."""
    process.stdin.close()
    want(f"exit of {job}", process.wait(), 0)

    def stored():
        reply = ask(f"/profiles/get?jobid={job}")
        profile = reply.json() if reply.status == 200 else {"provisional": True}
        return None if profile.get("provisional") else profile
    profile = wait_until(f"the profile of {job}", stored)
    want(f"partial of {job}", profile["partial"], [])
    return {entry["name"]: entry["ctype"] for entry in profile["counters"]}


def left_out():
    return ask("/job?job=main").json().get("left_out", [])


counting = start("a", "counter", 5)
wait_value("x", 5, "a")
wait_value("x", 5)
setting = start("b", "gauge", 7)
wait_value("x", (1, 7), "b")
wait_until("main to leave x out", lambda: left_out() == ["x"])
want("x of a", counters("a")["x"], 5)
want("x of main", counters().get("x"), None)
for path in ("/push?key=x", "/accumulate?key=x&value=1", "/set?key=x&value=3"):
    reply = ask(path)
    want(f"status of {path} while x is left out", reply.status, 409)
    want(f"reason of {path}", "set as a gauge by others" in reply.body.decode(), True)
want("set in the job that counts it", ask("/set?key=x&value=5&job=a").status, 200)
want("what both count", counters()["typed_total"], 2)
wait_value("mproxy_names_left_out", (1, 1))
with open(os.environ["LOG"]) as log:
    want("lines of it", log.read().count("metric 'x': some jobs count it"), 1)
page = ask("/metrics?job=*").body.decode().splitlines()
want("its type", [line for line in page if line.startswith("# TYPE x ")], ["# TYPE x untyped"])
want("its samples", sorted(line for line in page if line.startswith("x{")),
     ['x{job_id="a"} 5', 'x{job_id="b"} 7'])

want("the gauge in the profile", end(setting, "b")["x"]["Gauge"]["total"], 7)
wait_value("x", 5)
want("left out", left_out(), [])
want("status of /set once x has a total", ask("/set?key=x&value=8").status, 200)
wait_value("x", 8)
want("status of /set back", ask("/set?key=x&value=5").status, 200)
wait_value("x", 5)
want("the counter in the profile", end(counting, "a")["x"]["Counter"]["value"], 5)
wait_until("a to leave the list", lambda: ask("/job?job=a").status == 404)

# Only main knows of the counter now; a later job has its own type all the same.
later = start("c", "gauge", 9)
wait_value("x", (1, 9), "c")
want("status of /accumulate where main counts and a job sets",
     ask("/accumulate?key=x&value=1").status, 409)
want("the later job's profile", end(later, "c")["x"]["Gauge"]["total"], 9)
wait_value("x", 5)
want("refused", counters()['mproxy_refused_total{reason="segment_type"}'], 0)
