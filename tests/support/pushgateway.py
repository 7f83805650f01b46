"""A real Pushgateway on a free port, and samples of a page in a form that can be compared."""
import http.client
import re
import socket
import subprocess
import time


class Server:
    """What is at an address, by requests that a client library would make."""

    def __init__(self, address):
        self.address = address

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.putrequest(method, path)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        self.headers = response.headers
        connection.close()
        return response.status, text

    def page(self):
        return self.call("GET", "/metrics")[1]


class Pushgateway(Server):
    def __init__(self, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}",
             "--persistence.file=", "--web.enable-admin-api", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().__init__(f"127.0.0.1:{port}")
        for _ in range(500):
            try:
                if self.call("GET", "/-/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit("FAILED: the Pushgateway does not start")

    def wipe(self):
        self.call("PUT", "/api/v1/admin/wipe")

    def close(self):
        self.process.terminate()
        self.process.wait()


SAMPLE = re.compile(r'([^{ ]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def samples(page):
    """Samples with a label `job`, labels in any order and without empty ones."""
    found = {}
    for line in page.splitlines():
        match = SAMPLE.match(line)
        if line.startswith("#") or not match:
            continue
        labels = {name: value for name, value in LABEL.findall(match[2] or "") if value}
        if "job" in labels:
            found[match[1], tuple(sorted(labels.items()))] = float(match[3])
    return found


def pushed(page):
    """The same without what the server tells of itself."""
    own = re.compile("push_(failure_)?time_seconds|pushgateway_|m?proxy_")
    return {key: value for key, value in samples(page).items() if not own.match(key[0])}


def types(page):
    return dict(line.split()[2:4] for line in page.splitlines() if line.startswith("# TYPE"))
