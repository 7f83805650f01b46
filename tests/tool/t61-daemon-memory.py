"""A part of t61-daemon-memory.sh."""
import os

from proxy import ask, wait_until, want
from segments import Held, many_names


def memory():
    with open(f"/proc/{os.environ['PROXY_PID']}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def is_below(kilobytes):
    return lambda: memory() - before < kilobytes


def shown(path):
    reply = ask(path)
    return reply.status == 200 and len([entry for entry in reply.json()["counters"]
                                        if entry["name"].startswith("many_")]) == 10000

before = memory()
held = Held(os.environ["DIR"], "many.seg", many_names("many", 10000))
wait_until("all metrics", lambda: shown("/job?job=many"))
wait_until(f"at most 16 MiB for 10,000 names ({memory() - before} kB)", is_below(16 << 10))
held.end()
for _ in range(3):
    wait_until("its profile", lambda: shown("/profiles/get?jobid=many"))
wait_until("the memory of the profile to be given back", is_below(18 << 10))
wait_until("its end", lambda: ask("/job?job=many").status == 404)
want("the sum", len([e for e in ask("/job?job=main").json()["counters"]
                     if e["name"].startswith("many_") and
                     e["ctype"]["Counter"]["value"] == 1]), 10000)
wait_until("the memory to be given back", is_below(18 << 10))
