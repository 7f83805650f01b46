"""A part of t43-push-gateway.sh."""
import gzip
import os
import subprocess
import time

from pushgateway import Pushgateway, Server, pushed, samples, types
from proxy import ask, fail, wait_until, want

OURS, THEIRS = Server(os.environ["URL"].removeprefix("http://")), Pushgateway()
X = b"x 1\n"
TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited")


def post(path, body=X, **headers):
    return ("POST", "/metrics" + path, body,
            {name.replace("_", "-"): value for name, value in headers.items()})


def put(path, body=X):
    return ("PUT", "/metrics" + path, body, {})


def delete(path):
    return ("DELETE", "/metrics" + path, None, {})


def histogram(*buckets):
    """Cumulative counts by bound, the last of them +Inf."""
    lines = "".join(f'h_bucket{{le="{bound}"}} {count}\n' for bound, count in buckets)
    return (f"# TYPE h histogram\n{lines}h_sum 3\nh_count {buckets[-1][1]}\n").encode()


COUNTER, GAUGE = b"# TYPE x counter\nx %d\n", b"# TYPE x gauge\nx %d\n"
CASES = {
    # the path
    "post": [post("/job/a")],
    "put": [put("/job/a")],
    "a slash at the end": [post("/job/a/")],
    "a label without a value": [post("/job/a/l")],
    "an empty value at the end": [post("/job/a/l/")],
    "a label and its value": [post("/job/a/l/v")],
    "a slash behind a value": [post("/job/a/l/v/")],
    "an empty value in the path": [post("/job/a/l//m/w")],
    "an empty job": [post("/job//l/v")],
    "a job that is nothing": [post("/job/")],
    "no job": [post("/job")],
    "the page itself": [post("")],
    "a job in base64": [post("/job@base64/YS9i")],
    "a padded job in base64": [post("/job@base64/YWI=")],
    "an empty job in base64": [post("/job@base64/=")],
    "a job in no base64": [post("/job@base64/!!")],
    "a value in base64": [post("/job/a/p@base64/L3Zhci90bXA")],
    "a padded value in base64": [post("/job/a/p@base64/L3Zhci90bXA=")],
    "an empty value in base64": [post("/job/a/p@base64/=")],
    "a value in the other base64": [post("/job/a/p@base64/+w")],
    "an escaped value in the other base64": [post("/job/a/p@base64/%2Bw")],
    "a value that is no text": [post("/job/a/p@base64/__4")],
    "a job that is no text": [post("/job/%FF")],
    "a label that begins with a digit": [post("/job/a/1bad/v")],
    "a label with a dash": [post("/job/a/l-x/v")],
    "the label __name__": [post("/job/a/__name__/v")],
    "a label of Prometheus' own": [post("/job/a/__x/v")],
    "a label that is not ASCII": [post("/job/a/l%C3%A9/1")],
    "the job twice": [post("/job/a/job/b")],
    "a label twice": [post("/job/a/l/1/l/2")],
    "the label le": [post("/job/a/le/1")],
    "the label quantile": [post("/job/a/quantile/1")],
    "an escaped slash": [post("/job/a%2Fb")],
    "an escaped slash that makes a label": [post("/job/a%2Fl%2Fv")],
    "an escaped blank": [post("/job/a%20b")],
    "a plus": [post("/job/a+b")],
    "UTF-8": [post("/job/%C3%A9/l/%E2%82%AC")],
    "what is escaped in text": [post("/job/a/l/a%22b%5C%0Ac")],
    "an escaped question mark": [post("/job/a%3Fb")],
    # the body
    "an empty body": [post("/job/a", b"")],
    "no body": [post("/job/a", None)],
    "no line feed at the end": [post("/job/a", b"x 1")],
    "no value": [post("/job/a", b"x\n")],
    "a word as value": [post("/job/a", b"x one\n")],
    "a time": [post("/job/a", b"x 1 1700000000000\n")],
    "a sample twice": [post("/job/a", b"x 1\nx 1\n")],
    "a TYPE twice": [post("/job/a", b"# TYPE x counter\nx 1\n# TYPE x counter\nx{a=\"b\"} 2\n")],
    "a family in two groups": [post("/job/a", b"x{a=\"1\"} 1\ny 1\nx{a=\"2\"} 2\n")],
    "a negative counter": [post("/job/a", b"# TYPE x counter\nx -2\n")],
    "values that are not finite": [post("/job/a", b"x NaN\ny +Inf\nz 1\n")],
    "labels that the group has": [post("/job/a", b'x{job="zz",instance="i"} 1\n')],
    "the group's instance": [post("/job/a/instance/h", b'x{instance="i"} 1\n')],
    "the group's empty instance": [post("/job/a/instance@base64/=", b'x{instance="i"} 1\n')],
    "an empty job in the body": [post("/job/a", b'x{job=""} 1\n')],
    "two samples that the group makes one": [post("/job/a/l/v", b'x{l="1"} 1\nx{l="2"} 1\n')],
    "the gateway's own time": [post("/job/a", b"push_time_seconds 1\n")],
    "a name of the proxy": [post("/job/a", b"proxy_cpu_total 1\n")],
    "a name of an exporter of ours": [post("/job/a", b"mpi___hits 1\n")],
    "a histogram": [post("/job/a", histogram((1, 1), ("+Inf", 2)))],
    "a histogram without its end": [post("/job/a", b'# TYPE h histogram\nh_bucket{le="1"} 1\n'
                                                   b'h_sum 3\nh_count 2\n')],
    "a summary": [post("/job/a", b'# TYPE h summary\nh{quantile="0.5"} 1\nh_sum 3\nh_count 2\n')],
    "HELP and TYPE": [post("/job/a", b"# HELP x one\n# TYPE x gauge\nx 1\n")],
    "a byte-order mark": [post("/job/a", b"\xef\xbb\xbfx 1\n")],
    "carriage returns": [post("/job/a", b"x 1\r\n")],
    "a value that is no UTF-8": [post("/job/a", b'x{a="\xff"} 1\n')],
    "an OpenMetrics end in text": [post("/job/a", b"x 1\n# EOF\n")],
    # headers
    "gzip": [post("/job/a", gzip.compress(X), Content_Encoding="gzip")],
    "gzip of nothing": [post("/job/a", gzip.compress(b""), Content_Encoding="gzip")],
    "gzip that is none": [post("/job/a", X, Content_Encoding="gzip")],
    "half of a gzip": [post("/job/a", gzip.compress(X * 100)[:-9], Content_Encoding="gzip")],
    "an encoding that nobody knows": [post("/job/a", X, Content_Encoding="snappy")],
    "identity": [post("/job/a", X, Content_Encoding="identity")],
    "text by name": [post("/job/a", X, Content_Type=TEXT)],
    "text of a form": [post("/job/a", X, Content_Type="application/x-www-form-urlencoded")],
    "text that says JSON": [post("/job/a", X, Content_Type="application/json")],
    "OpenMetrics": [post("/job/a", b"# TYPE x counter\nx_total 1\n# EOF\n",
                         Content_Type=OPENMETRICS)],
    "protobuf that is not delimited": [post("/job/a", X, Content_Type=PROTOBUF.replace(
        "delimited", "text"))],
    "protobuf that is none": [post("/job/a", X, Content_Type=PROTOBUF)],
    # groups
    "post keeps other names": [post("/job/a", b"x 1\ny 2\n"), post("/job/a", b"y 3\n")],
    "post replaces all of a name": [post("/job/a", b'x{a="1"} 1\nx{a="2"} 2\n'),
                                    post("/job/a", b'x{a="3"} 3\n')],
    "post replaces part of a name": [post("/job/a", b'x{a="1"} 1\nx{a="2"} 2\ny 1\n'),
                                     post("/job/a", b'x{a="2"} 3\n')],
    "put replaces all": [post("/job/a", b"x 1\ny 2\n"), put("/job/a", b"y 3\n")],
    "put of nothing": [post("/job/a"), put("/job/a", b"")],
    "post of nothing": [post("/job/a"), post("/job/a", b"")],
    "delete": [post("/job/a"), post("/job/b"), delete("/job/a")],
    "delete by fewer labels": [post("/job/a/l/v"), delete("/job/a")],
    "delete of nothing": [delete("/job/zz")],
    "delete of a bad path": [delete("/job/a/l")],
    "push after delete": [post("/job/a"), delete("/job/a"), post("/job/a", b"y 2\n")],
    "labels in another order": [post("/job/a/b/1/c/2"), post("/job/a/c/2/b/1", b"y 1\n")],
    "a malformed push keeps the group": [post("/job/a"), post("/job/a", b"y\n")],
    "another type in another group": [post("/job/a", COUNTER % 1), post("/job/b", GAUGE % 3)],
    "another type in the group": [post("/job/a", COUNTER % 1), post("/job/a", GAUGE % 3)],
    "no type in another group": [post("/job/a", COUNTER % 1), post("/job/b", X)],
    "another HELP": [post("/job/a", b"# HELP x one\n" + GAUGE % 1),
                     post("/job/b", b"# HELP x two\n" + GAUGE % 2)],
    "a sample of two groups": [post("/job/a/l/v"), post("/job/a", b'x{l="v"} 1\n')],
    "a sample of two groups, the other way": [post("/job/a", b'x{l="v"} 1\n'),
                                              post("/job/a/l/v")],
    "a counter that is lower": [post("/job/a", COUNTER % 5), post("/job/a", COUNTER % 2)],
    "a histogram with other bounds": [post("/job/a", histogram((1, 1), ("+Inf", 2))),
                                      post("/job/a", histogram((3, 1), ("+Inf", 2)))],
    "a group with an empty label": [post("/job/a/l/", b"x 1\n"), post("/job/a", b"x 2\n")],
    # other methods
    "get": [("GET", "/metrics/job/a", None, {})],
    "patch": [("PATCH", "/metrics/job/a", X, {})],
    "head": [("HEAD", "/metrics/job/a", None, {})],
}

# Where we differ on purpose: our statuses, what we show (a page of text; None: as they do), why.
DIFFERENT = {
    "a slash behind a value": ([200], 'x{job="a",l="v"} 1', "a slash at the end is no part"),
    "an empty value in the path": ([200], 'x{job="a",m="w"} 1',
                                   "they redirect, and clients drop the body on the way"),
    "an empty job": ([400], "", "the same: they redirect to a path that is none"),
    "a job that is nothing": ([404], "", "the same"),
    "the job twice": ([400], "", "they drop what the second says"),
    "a label twice": ([400], "", "they drop what the first says"),
    "the label le": ([400], "", "it would make buckets of everything"),
    "a family in two groups": ([400], "", "the format's letter (decision 0031)"),
    "a negative counter": ([400], "", "a counter is never below 0"),
    "values that are not finite": ([200], 'z{job="a"} 1', "dropped and counted"),
    "the gateway's own time": ([400], "", "they drop it without a word"),
    "a name of the proxy": ([400], "", "reserved"),
    "a name of an exporter of ours": ([400], "", "reserved"),
    "a histogram without its end": ([400], "", "the format's letter (decision 0031)"),
    "an encoding that nobody knows": ([415], "", "they read it as if it were not encoded"),
    "protobuf that is not delimited": ([415], "", "only the delimited one is read"),
    "another type in another group": ([200, 409], None, "409 says that it is a conflict"),
    "no type in another group": ([200, 409], None, "the same"),
    "a sample of two groups": ([200, 409], None, "the same"),
    "a sample of two groups, the other way": ([200, 409], None, "the same"),
    "a group with an empty label": ([200, 200], 'x{job="a"} 2',
                                    "to Prometheus an empty label is none: one group"),
}


def wipe():
    THEIRS.wipe()
    reply = ask("/metrics?match%5B%5D=%7Bjob%3D~%22.%2B%22%7D", "DELETE")
    want("deletion of all groups", reply.status, 202)
    wait_until("an empty page", lambda: not samples(OURS.page()))


def statuses(server, calls):
    return [server.call(*call) for call in calls]


def compare(name, calls):
    wipe()
    ours, theirs = statuses(OURS, calls), statuses(THEIRS, calls)
    for (status, text), call in zip(ours, calls):
        if call[0] != "HEAD" and not text.startswith('{"operation":"'):
            fail(f"{name}: {call}: no JSON: {text!r}")
        if call[0] != "HEAD" and ('"success":true' in text) != (status < 300):
            fail(f"{name}: {call}: {status} with {text!r}")
    should, page = [status for status, _ in theirs], pushed(THEIRS.page())
    if name in DIFFERENT:
        should, text, why = DIFFERENT[name]
        page = page if text is None else pushed(text)
        if should == [status for status, _ in theirs] and page == pushed(THEIRS.page()):
            fail(f"{name}: listed as different ({why}), and is not")
    is_ = [status for status, _ in ours]
    if is_ != should:
        fail(f"{name}: statuses {is_}, should be {should}: {ours}, the Pushgateway: {theirs}")
    end = time.monotonic() + 10
    while pushed(OURS.page()) != page:
        if time.monotonic() > end:
            fail(f"{name}: shows {pushed(OURS.page())}, should be {page}")
        time.sleep(0.02)
    return theirs, ours


def refusals_name_their_place():
    status, text = OURS.call("POST", "/metrics/job/place", b"ok 1\nx 1\ny z\n")
    want("status of a malformed push", status, 400)
    if "line 3, column 3" not in text:
        fail(f"a malformed push: {text!r} names no place")


def times_are_shown():
    wipe()
    names = "push_time_seconds", "push_failure_time_seconds"

    def shown(server, name, job):
        return samples(server.page()).get((name, (("job", job),)))
    for server in OURS, THEIRS:
        server.call("POST", "/metrics/job/good", X)
        server.call("POST", "/metrics/job/bad", b"x 1 2\n")
        now = time.time()
        wait_until("both groups", lambda: shown(server, names[0], "good") and
                   shown(server, names[1], "bad"))
        for name, job, is_now in ((names[0], "good", True), (names[1], "good", False),
                                  (names[0], "bad", False), (names[1], "bad", True)):
            value = shown(server, name, job)
            if not (abs(value - now) < 60 if is_now else value == 0):
                fail(f"{server.address}: {name} of {job}: {value}")
        kind = types(server.page())
        want("types of the times", [kind[name] for name in names], ["gauge", "gauge"])
        server.call("DELETE", "/metrics/job/bad")
        wait_until("the group is gone", lambda: shown(server, names[1], "bad") is None)


def too_large_is_refused():
    # curl waits for 100 Continue before it sends so much; http.client would miss the reply.
    reply = subprocess.run(
        ["curl", "-s", "--data-binary", "@-", os.environ["URL"] + "/metrics/job/large"],
        input=b"#" * (17 << 20) + b"\n", stdout=subprocess.PIPE, check=True).stdout.decode()
    if "limit of 16777216 bytes" not in reply:
        fail(f"a body that is too large: {reply!r}")
    status, text = OURS.call("POST", "/metrics/job/large", gzip.compress(b"# \n" * (6 << 20)),
                             {"Content-Encoding": "gzip"})
    want(f"status of a body that is too large unpacked ({text})", status, 413)


def families_keep_their_types():
    wipe()
    body = (b"# HELP c_total Of what.\n# TYPE c_total counter\nc_total 1\n" +
            histogram((1, 1), ("+Inf", 2)) + b"# TYPE g gauge\ng 1\nu 1\n")
    for server in OURS, THEIRS:
        server.call("POST", "/metrics/job/types", body)
    wait_until("the push", lambda: pushed(OURS.page()) == pushed(THEIRS.page()))
    kind = types(OURS.page())
    want("types", [kind.get(name) for name in ("c_total", "h", "g")],
         ["counter", "histogram", "gauge"])


try:
    for case, steps in CASES.items():
        compare(case, steps)
    refusals_name_their_place()
    times_are_shown()
    too_large_is_refused()
    families_keep_their_types()
finally:
    THEIRS.close()
