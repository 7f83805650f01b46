"""A part of t38-names-come-and-go.sh: sys.argv[1] says which life of the proxy this is."""
import sys

from proxy import Client, ask, counters, wait_until, wait_value, want

ROUNDS, NAMES = 10, 40  # 800 names in each life, where 150 are allowed
life = int(sys.argv[1])


def known():
    return counters()["mproxy_names"][1]


def name(number, i):
    return f'level{{i="{i}",life="{life}",round="{number}"}}'


def churn(number, jobid):
    """A client that sets gauges of its own and counts once, then ends."""
    client = Client(jobid)
    for i in range(NAMES):
        client.gauge(name(number, i), i)
    client.counter("churn_total", 1)
    wait_value(name(number, NAMES - 1), (1, NAMES - 1), jobid or "main")
    client.close()


wait_value("churn_total", (life - 1) * 2 * ROUNDS if life > 1 else None)
before = known()
for number in range(ROUNDS):
    churn(number, f"cj{life}-{number}")
    churn(number + ROUNDS, None)
    wait_until(f"names to be given back after round {number}",
               lambda: known() < before + NAMES)

wait_value("churn_total", life * 2 * ROUNDS)
status = counters()
want("names refused", status['mproxy_refused_total{reason="segment_name_limit"}'], 0)
want("shares without all", status.get('mproxy_processes_uncounted_total{reason="names"}'), None)
profile = ask(f"/profiles/get?jobid=cj{life}-0").json()
want("partial", profile["partial"], [])
values = {entry["name"]: entry["ctype"] for entry in profile["counters"]}
want("a gauge in the profile",
     values[name(0, 7)]["Gauge"]["total"], 7)
