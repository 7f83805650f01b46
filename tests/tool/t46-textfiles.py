"""A part of t46-textfiles.sh."""
import os
import socket
import subprocess
import time

from pushgateway import LABEL, SAMPLE, Server
from proxy import fail, wait_until, want

FILES = os.path.join(os.environ["TMP"], "files")
OURS = Server(os.environ["URL"].removeprefix("http://"))

# Name of the case: files with their texts; what only we show or lack, if not the same.
CASES = {
    "one file": {"a.prom": "tf_x 1\n"},
    "two files": {"a.prom": "tf_x 1\n", "b.prom": 'tf_y{l="v"} 2\n'},
    "types and help": {"a.prom": "# HELP tf_c_total Of what.\n# TYPE tf_c_total counter\n"
                                 "tf_c_total 3\n# TYPE tf_g gauge\ntf_g -1\n"},
    "a histogram": {"a.prom": '# TYPE tf_h histogram\ntf_h_bucket{le="1"} 1\n'
                              'tf_h_bucket{le="+Inf"} 2\ntf_h_sum 3\ntf_h_count 2\n'},
    "an empty file": {"a.prom": ""},
    "other names": {"a.txt": "tf_x 1\n", ".prom.tmp": "tf_y 1\n", "prom": "tf_z 1\n"},
    "a malformed file beside a good one": {"a.prom": "tf_x 1\n", "b.prom": "tf_y 1\ntf_z\n"},
    "no line feed at the end": {"a.prom": "tf_x 1"},
    "a time": {"a.prom": "tf_x 1 1700000000000\n"},
    "no file": {},
    "a metric in two files": {"a.prom": 'tf_x{l="1"} 1\n', "b.prom": 'tf_x{l="2"} 2\n'},
    "a series in two files": {"a.prom": "tf_x 1\n", "b.prom": "tf_x 2\ntf_y 1\n"},
    "a name of ours": {"a.prom": "tf_x 1\nproxy_cpu_total 1\n"},
    "not finite": {"a.prom": "tf_x NaN\ntf_y 1\n"},
}
# Where we differ on purpose: what we show, whether an error is told, why.
DIFFERENT = {
    "a series in two files": ({("tf_x", ()): 1.0}, True, "their whole page is an error then"),
    "not finite": ({("tf_y", ()): 1.0}, False, "dropped and counted"),
}


class Exporter(Server):
    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}",
             "--collector.disable-defaults", "--collector.textfile",
             f"--collector.textfile.directory={FILES}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().__init__(f"127.0.0.1:{port}")
        wait_until("node_exporter", self.answers)

    def answers(self):
        try:
            return self.call("GET", "/metrics")[0] == 200
        except OSError:
            return False


def read(server, prefix):
    """What it shows of the files, their times, and whether one was refused."""
    shown, times, error = {}, {}, None
    for line in server.page().splitlines():
        match = SAMPLE.match(line)
        if line.startswith("#") or not match:
            continue
        labels = tuple(sorted((name, value) for name, value in LABEL.findall(match[2] or "")
                              if value))
        if match[1].startswith("tf_"):
            shown[match[1], labels] = float(match[3])
        elif match[1] == prefix + "textfile_mtime_seconds":
            times[dict(labels)["file"]] = float(match[3])
        elif match[1] == prefix + "textfile_scrape_error":
            error = float(match[3]) == 1
    return shown, times, error


def lay(files):
    for name in os.listdir(FILES):
        os.unlink(os.path.join(FILES, name))
    for name, text in files.items():
        with open(os.path.join(FILES, "." + name + ".new"), "w") as file:
            file.write(text)
        os.rename(file.name, os.path.join(FILES, name))


def compare(name, files):
    lay(files)
    shown, times, error = read(THEIRS, "node_")
    if name in DIFFERENT:
        shown, error, _ = DIFFERENT[name]
        times = None
    end = time.monotonic() + 10
    while True:
        ours = read(OURS, "mproxy_")
        if ours[0] == shown and ours[2] == error and (
                times is None or set(times) == set(ours[1])):
            break
        if time.monotonic() > end:
            fail(f"{name}: is {ours}, should be {(shown, times, error)}")
        time.sleep(0.02)
    for path, value in (times or {}).items():
        if int(value) != int(ours[1][path]):  # they show whole seconds
            fail(f"{name}: time of {path}: is {ours[1][path]}, should be {value}")


def shows(name, value):
    wait_until(f"{name} {value}", lambda: read(OURS, "mproxy_")[0].get((name, ())) == value)


def changes_are_seen():
    """Also where the file is written over, with as many bytes, and where it comes back."""
    path = os.path.join(FILES, "a.prom")
    lay({"a.prom": "tf_x 1\n"})
    shows("tf_x", 1)
    with open(path, "r+") as file:
        file.write("tf_x 2\n")
    shows("tf_x", 2)
    os.unlink(path)
    shows("tf_x", None)
    os.symlink("b.txt", path)
    with open(os.path.join(FILES, "b.txt"), "w") as file:
        file.write("tf_x 3\n")
    shows("tf_x", 3)


def log():
    with open(os.environ["LOG"]) as file:
        return file.read()


def faults_are_told():
    lay({"bad.prom": "tf_x 1\ntf_y one\n"})
    wait_until("the fault", lambda: "bad.prom: line 2, column 6" in log())
    lay({"bad.prom": "tf_x 1\ntf_y 2\n"})
    wait_until("its end", lambda: "bad.prom is read again" in log())
    os.rename(FILES, FILES + ".away")
    wait_until("the directory's fault", lambda: read(OURS, "mproxy_")[2])
    os.rename(FILES + ".away", FILES)
    wait_until("its end", lambda: not read(OURS, "mproxy_")[2])


THEIRS = Exporter()
try:
    for case, texts in CASES.items():
        compare(case, texts)
    changes_are_seen()
    faults_are_told()
    want("names of ours that are refused", "proxy_cpu_total" in log(), True)
finally:
    THEIRS.process.terminate()
    THEIRS.process.wait()
