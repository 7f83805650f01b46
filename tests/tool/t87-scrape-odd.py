"""Part of t87-scrape-odd.sh."""
import gzip
import os
import re
import threading
import time

from exporter import TEXT, Exporter
from proxy import ask, counters, fail, wait_until, want, want_reply

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def target(exporter):
    for entry in ask("/join/list").json():
        if entry["target_url"].startswith(f"http://{exporter.address}/"):
            return entry
    return None


def join(exporter, period=100, path=""):
    want_reply("join", ask(f"/join?to=http://{exporter.address}{path}&period={period}"), 200,
               "operation")


def leave(exporter, path=""):
    want_reply("leave", ask(f"/disconnect?target=http://{exporter.address}{path}"), 200,
               "operation")
    exporter.close()


def tried(exporter):
    return wait_until("a scrape", lambda: (t := target(exporter))["last_scrape"] and t)


# ---- pages

# What is shown, and how many samples the page has; the others are refused or have no value.
TAKEN = {
    "times": (TEXT, "# TYPE t1_total counter\nt1_total 5 1700000000000\nt1_g 2 -7\n",
              {"t1_total": 5, "t1_g": 2}, 2),
    "blanks": (TEXT, "b_one 1  \n\tb_two\t2\t\n\n   \nb_three{ x = \"1\" , } 3\n",
               {"b_one": 1, "b_two": 2, 'b_three{x="1"}': 3}, 3),
    "no numbers": (TEXT, "n_a NaN\nn_b +Inf\nn_c -Inf\nn_d 1e3\n# TYPE n_total counter\n"
                   "n_total NaN\n", {"n_d": 1000}, 5),
    "no type": (TEXT, "u_total 3\nu_count 4\n", {"u_total": 3, "u_count": 4}, 2),
    "below zero": (TEXT, "# TYPE z_total counter\nz_total -1\nz_other -1\n",
                   {"z_other": -1}, 2),
    "quoted names": (TEXT, '{"q.dots"} 1\n{"q ümlaut"} 2\n{"qü"} 3\n', {"q.dots": 1, "qü": 3},
                     3),
    "names of ours": (TEXT, "mproxy_up 1\nmpi___hits 2\nhas_x 3\nours_not 4\n",
                      {"ours_not": 4}, 4),
    "no type header": (None, "h_none 1\n", {"h_none": 1}, 1),
    "empty": (TEXT, "", {}, 0),
    "comments": (TEXT, "# just so\n#\n# HELP c_a text\n# TYPE c_a gauge\nc_a 1\n", {"c_a": 1},
                 1),
    "OpenMetrics": (OPEN, "# TYPE o counter\n# UNIT o \no_total 7 # {trace_id=\"x\"} 1\n"
                    "o_created 1\n# TYPE i info\ni_info{v=\"1\"} 1\n# EOF\n",
                    {"o_total": 7, "o_created": 1, 'i_info{v="1"}': 1}, 3),
}
# Type, page, and what the error says: where it is, and what it is about.
MALFORMED = {
    "no last newline": (TEXT, "m_a 1\nm_b 2", r"line 2"),
    "carriage returns": (TEXT, "m_a 1\r\nm_b 2\r\n", r"line 1, column \d+"),
    "byte-order mark": (TEXT, "\ufeffm_a 1\n", r"line 1, column 1:"),
    "a word": (TEXT, "m_a 1\nm_b one\n", r"line 2, column 5"),
    "twice": (TEXT, "m_a 1\nm_b 1\nm_a 1\n", r"line 3"),
    "no EOF": (OPEN, "# TYPE m gauge\nm 1\n", r"line \d"),
    "html": ("text/html", "<html>not here</html>\n", r"line 1"),
    "protobuf": ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                 "encoding=delimited", "x", r"protobuf"),
}


def flat(values):
    """By name: of a gauge its mean."""
    return {name: value if not isinstance(value, tuple) else value[1] / value[0]
            for name, value in values.items() if not isinstance(value, tuple) or value[0]}


for what, (type_, page, shown, samples) in TAKEN.items():
    exporter = Exporter(page, type_)
    join(exporter)
    entry = wait_until(what, lambda: (t := target(exporter))["healthy"] and t)
    want(f"{what}: samples", entry["samples"], samples)
    own = f'mproxy_scrape_refused_total{{target="{exporter.url}"}}'
    now = wait_until(f"{what}: {shown}", lambda: (c := counters()) and own in c and
                     shown.items() <= flat(c).items() and c)
    # Each other sample has been counted as refused.
    refused = now[own]
    if samples > len(shown) and not refused:
        fail(f"{what}: {samples - len(shown)} samples are neither shown nor counted")
    if samples == len(shown):
        want(f"{what}: refused", (entry["refused"], entry["why_refused"], refused), (0, "", 0))
    elif what == "names of ours":
        want(f"{what}: refused", (entry["refused"], refused), (3, 3))
        want(f"{what}: why", entry["why_refused"].startswith("reserved: series '"), True)
    elif what == "quoted names":
        want(f"{what}: why", "'q ümlaut'" in entry["why_refused"], True)
    names = {re.split("[ {]", line)[0] for line in page.splitlines()
             if line and not line.startswith(("#", "{"))}
    stray = [name for name in now if name.split("{")[0] in names and name not in shown
             and (not isinstance(now[name], tuple) or now[name][0])]
    want(f"{what}: what is shown beside it", stray, [])
    leave(exporter)

for what, (type_, page, error) in MALFORMED.items():
    exporter = Exporter(page, type_)
    join(exporter)
    entry = tried(exporter)
    want(f"{what}: healthy", entry["healthy"], False)
    if not re.search(error, entry["last_error"]) or exporter.url not in entry["last_error"]:
        fail(f"{what}: the error is {entry['last_error']!r}")
    leave(exporter)
want("what was malformed", [name for name in counters() if name.startswith("m_")], [])

# ---- replies

COUNTER = "# TYPE r_total counter\nr_total "
exporter = Exporter(COUNTER + "1\n")
join(exporter)
wait_until("it", lambda: counters().get("r_total") == 1)
want("what it is asked for", (exporter.asked[-1]["Accept"].split(";")[0],
                              exporter.asked[-1]["Accept-Encoding"]), ("text/plain", "gzip"))
# A page that is malformed now: its values stay as they were.
exporter.page = (COUNTER + "2\nr_a\n").encode()
wait_until("the fault", lambda: "line 3" in target(exporter)["last_error"])
want("the value before", counters().get("r_total"), 1)
for code in (404, 500, 204):
    exporter.code = code
    wait_until(f"status {code}", lambda: f"HTTP status {code}" in target(exporter)["last_error"])
exporter.code = 200
exporter.page = gzip.compress(b"r_a 3\n")
exporter.headers = {"Content-Encoding": "gzip"}
wait_until("gzip", lambda: counters().get("r_a") == (1, 3))
exporter.page = exporter.page[:-11]
wait_until("a cut page", lambda: not target(exporter)["healthy"])
exporter.headers = {}
exporter.page = b"r_a 4\n"
wait_until("it again", lambda: target(exporter)["healthy"] and counters().get("r_a") == (1, 4))
# Silent for five periods: its gauges leave.
exporter.close()
wait_until("its gauge to leave", lambda: "r_a" not in counters())
exporter.open(exporter.port)
wait_until("it again", lambda: counters().get("r_a") == (1, 4))
leave(exporter)

other = Exporter("elsewhere 1\n")
exporter = Exporter("x 1\n")


def redirect(handler):
    to = {"/metrics": f"http://{exporter.address}/real", "/real": None,
          "/away": other.url, "/loop": f"http://{exporter.address}/loop"}[handler.path]
    page = b"redirected 5\n"
    handler.send_response(302 if to else 200)
    if to:
        handler.send_header("Location", to)
    handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    handler.wfile.write(page)


exporter.answer = redirect
join(exporter)
wait_until("a redirected page", lambda: counters().get("redirected") == (1, 5))
for path, why in (("/away", "another server"), ("/loop", "more than")):
    join(exporter, path=path)
    wait_until(path, lambda: [t for t in ask("/join/list").json()
                              if t["target_url"].endswith(path) and why in t["last_error"]])
    want_reply("leave", ask(f"/disconnect?target=http://{exporter.address}{path}"), 200,
               "operation")
want("asked elsewhere", other.served, 0)
leave(exporter)

# ---- others that misbehave, beside one that is well

STOP = threading.Event()


def start(handler, length):
    handler.send_response(200)
    handler.send_header("Content-Type", TEXT)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


def endless(handler):
    """1 GiB."""
    start(handler, 1 << 30)
    for _ in range(1 << 14):
        handler.wfile.write(b"endless 1 # " + b"x" * 65523 + b"\n")


BOMB = gzip.compress(b"bomb 1\n" * (1 << 24), 1)


def bomb(handler):
    """112 MiB, packed."""
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(BOMB)))
    handler.end_headers()
    handler.wfile.write(BOMB)


def slow(handler):
    start(handler, 1000)
    while not STOP.wait(0.2):
        handler.wfile.write(b"s")


def silent(handler):
    STOP.wait()


def longer(handler):
    start(handler, 1000)
    handler.wfile.write(b"longer 1\n")
    handler.close_connection = True


def shorter(handler):
    start(handler, 5)
    handler.wfile.write(b"shorter 1\nshorter_still 1\n")
    handler.close_connection = True


def no_http(handler):
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


def hang_up(handler):
    handler.connection.close()


good = Exporter("good 1\n")
join(good)
wait_until("the good one", lambda: "good" in counters())
bad = {}
for behave, why in ((endless, "longer than"), (bomb, "longer than"), (slow, "[Tt]imed? ?out"),
                    (silent, "[Tt]imed? ?out"), (longer, ""), (shorter, ""), (no_http, ""),
                    (hang_up, "")):
    exporter = Exporter()
    exporter.answer = behave
    bad[behave.__name__] = (exporter, why)
    join(exporter, 12000 if behave in (endless, bomb) else 5000)
dead = Exporter()
dead.close()
bad["dead"] = (dead, "onnect")
join(dead, 100)


def longest_gap(seconds):
    """The longest time between two scrapes of the good one."""
    end, last, longest = time.monotonic() + seconds, time.monotonic(), 0
    served = good.served
    while time.monotonic() < end:
        if good.served > served:
            longest, last, served = max(longest, time.monotonic() - last), time.monotonic(), \
                good.served
        time.sleep(0.005)
    return longest


# Each is told of as unhealthy, with a reason, while the good one keeps its tick: no scrape of
# it waits as long as a timeout of the others, 4.5 s.
gap = longest_gap(6)
if gap > 4:
    fail(f"the good one was not scraped for {gap:.2f} s, its period is 0.1 s")
for name, (exporter, why) in bad.items():
    entry = wait_until(f"the fault of {name}: {why}", lambda: (t := target(exporter)) and
                       t["last_error"] not in ("", "not scraped yet") and
                       re.search(why, t["last_error"]) and t, 60)
    want(f"{name}: healthy", entry["healthy"], False)
want("values of those", [name for name in counters()
                         if name in ("endless", "bomb", "longer", "shorter_still")], [])
STOP.set()
for exporter, _ in bad.values():
    if exporter is dead:
        want_reply("leave", ask(f"/disconnect?target={dead.address}"), 200, "operation")
    else:
        leave(exporter)

# ---- one that changes a type: refused and told of, until the counter's name is free

exporter = Exporter("# TYPE typed counter\ntyped 5\nplain 1\n")
join(exporter)
wait_until("a counter", lambda: counters().get("typed") == 5)
exporter.page = b"# TYPE typed gauge\ntyped 1\nplain 2\n"
wait_until("the other page", lambda: counters().get("plain") == (1, 2))
entry = target(exporter)
want("refused", (entry["healthy"], entry["refused"]), (True, 1))
want("why", entry["why_refused"], "type: series 'typed': is known as a counter")
want("the counter", counters()["typed"], 5)
leave(exporter)

# ---- labels that churn


def rss_anon():
    with open(f"/proc/{os.environ['PROXY_PID']}/status") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))


NAMES = int(os.environ.get("CHURN_NAMES", "1000000"))
EACH = 20000
at = [0]


def churn(_):
    """Half of them gauges, half counters, all new."""
    first = at[0]
    at[0] += EACH
    lines = ["# TYPE churn_total counter"]
    lines += [f'churn_total{{id="{i}"}} 1' for i in range(first, first + EACH // 2)]
    lines += ["# TYPE churn gauge"]
    lines += [f'churn{{id="{i}"}} 1' for i in range(first, first + EACH // 2)]
    return ("\n".join(lines) + "\n").encode()


before = rss_anon()
exporter = Exporter(churn)
join(exporter, 400)
wait_until("a million names", lambda: at[0] >= NAMES, 120)
entry = target(exporter)
want("the churning one", (entry["healthy"], entry["samples"]), (True, EACH))
exporter.page = b"calm 1\n"
wait_until("calm", lambda: "calm" in counters("main") and
           not [n for n in counters() if n.startswith("churn{")], 30)
kept = [n for n in counters() if n.startswith("churn_total")]
if not 10000 <= len(kept) <= 12000:
    fail(f"{len(kept)} counters of those that left are shown, at most 10,000 and an eighth "
         "should be")
given_up = counters()[f'mproxy_scrape_given_up_total{{target="{exporter.url}"}}']
if given_up < NAMES / 3:  # not each page is answered in time
    fail(f"{given_up} counters were given up, of {NAMES // 2}")
wait_until("the names to be given back", lambda: counters()["mproxy_names"][1] < 20000)
grown = rss_anon() - before
if grown > 48 * 1024:
    fail(f"{NAMES} names later the proxy has {grown} KiB more")
print(f"RssAnon {before} KiB before {NAMES} names, {grown} more afterwards")
