"""Part of t85-scrape-real.sh: $PORTS of node_exporter, Prometheus, Pushgateway, Alertmanager."""
import http.client
import os

from proxy import HOST, ask, counters, fail, quote, refused, wait_until, want, want_reply

PORTS = os.environ["PORTS"].split()
NODE, PROMETHEUS, GATEWAY, ALERTMANAGER = PORTS


def page(port):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in lines if not line.startswith("#")}


def targets():
    reply = want_reply("/join/list", ask("/join/list"), 200, "joins")
    return {t["target_url"]: t for t in reply.json()}


def all_well():
    by_url = targets()
    return (len(by_url) == 5 and all(t["healthy"] and t["samples"] for t in by_url.values())
            and by_url)


# Two by -s, two now; bad input names the parameter.
want_reply("join", ask(f"/join?to=127.0.0.1:{GATEWAY}&period=100"), 200, "operation")
want_reply("join twice", ask(f"/join?to=127.0.0.1:{GATEWAY}&period=4000"), 200, "operation")
want_reply("join", ask(f"/join/multiple?to=127.0.0.1:{ALERTMANAGER}&period=2500"), 200,
           "operation")
for path, status, names in (
        ("/join", 400, "'to'"), ("/join?to=", 400, "'to'"), ("/join?to=host", 400, "HOST:PORT"),
        ("/join?to=h:0", 400, "port"), ("/join?to=h:1&period=9", 400, "'period'"),
        ("/join?to=h:1&period=x", 400, "'period'"), ("/join?to=h:1&period=1e3", 400, "'period'"),
        ("/join?to=ftp%3A%2F%2Fh%2F", 400, "http"), ("/join?to=h%3A1%2F%20x", 400, "blanks"),
        ("/join?to=a:1&b:2", 400, "/join/multiple"), ("/join/multiple?to=a:1&:2", 400, "':2'"),
        ("/join/multiple?to=a:1&period=100&200", 400, "'period'"),
        ("/join?to=" + os.environ["URL"].removeprefix("http://"), 400, "this proxy"),
        ("/join?to=localhost:" + os.environ["URL"].rsplit(":", 1)[1], 400, "this proxy"),
        ("/join?to=[::ffff:127.0.0.1]:" + os.environ["URL"].rsplit(":", 1)[1], 400, "this proxy"),
        ("/join?to=0:" + os.environ["URL"].rsplit(":", 1)[1], 400, "this proxy"),
        ("/disconnect", 400, "'target'"), ("/disconnect?target=a:1", 404, "http://a:1/metrics"),
        ("/remove?from=x", 400, "'target'"), ("/remove?from=x&target=a", 400, "'target'")):
    refused(path, ask(path), status, names)
by_url = wait_until("four targets that are well", all_well)
want("periods", [by_url[f"http://127.0.0.1:{port}/metrics"]["period"] for port in PORTS],
     [3, 2, 4, 2.5])

# What they serve is shown in main and in the node, from the next round on.
wait_until("their values", lambda: counters().get("go_goroutines", (0, 0))[0] == 4)
known = page(NODE)
shown = counters("main")
missing = [name for name in known if name not in shown and "{" not in name]
want("series of node_exporter that are not shown", missing, [])
want("a gauge of one target", shown["node_memory_MemTotal_bytes"],
     (1, known["node_memory_MemTotal_bytes"]))
want("the node", "node_memory_MemTotal_bytes" in counters("Node: " + HOST), True)
up = 'mproxy_scrape_up{target="http://127.0.0.1:%s/metrics"}'
want("up", [counters()[up % port] for port in PORTS], [(1, 1)] * 4)
# A counter of all adds up, and follows.
wait_until("their CPU time", lambda: counters()["process_cpu_seconds_total"] >=
           sum(page(port)["process_cpu_seconds_total"] for port in PORTS) - 1)
wait_until("Prometheus' own requests", lambda: counters().get(
    'prometheus_http_requests_total{code="200",handler="/metrics"}', 0) > 5)
# A real histogram is one on the page.
text = ask("/metrics").body.decode()
want("a histogram", "# TYPE prometheus_http_request_duration_seconds histogram" in text, True)

# The job counts for itself.
want_reply("job", ask("/accumulate?job=counted&key=steps_total&value=3"), 200, "operation")
wait_until("the job's counter", lambda: counters("counted").get("steps_total") == 3)
foreign = [name for name in counters("counted")
           if name.startswith(("node_", "go_", "prometheus_", "mproxy_scrape", "alertmanager_"))]
want("targets' series in the job", foreign, [])

# One that goes: its gauges leave, its counters stay.
before = counters()['promhttp_metric_handler_requests_total{code="200"}']
want_reply("disconnect", ask(f"/disconnect?target=127.0.0.1:{NODE}"), 200, "operation")
wait_until("its gauges to leave", lambda: "node_memory_MemTotal_bytes" not in counters())
want("it is in no list", f"http://127.0.0.1:{NODE}/metrics" in targets(), False)
want("its own figures", up % NODE in counters(), False)
after = counters()
if 'node_cpu_seconds_total{cpu="0",mode="idle"}' not in after:
    fail("a counter has left with its target")
if after['promhttp_metric_handler_requests_total{code="200"}'] < before:
    fail("a counter has stepped back")
steps = ask("/job?job=main&metric=" + quote("mproxy_steps_back_total")).json()["counters"]
want("steps back", steps[0]["ctype"]["Counter"]["value"], 0)
