"""Exporters for tests: each a real HTTP server on a port of its own, with the page it is told.

    e = Exporter("a 1\\n")
    e.page = b"a 2\\n"             # what the next request gets; or a function of its handler
    e.served                       # how many pages were sent whole
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from http_server import HttpServer  # noqa: E402

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Exporter(HttpServer):
    def __init__(self, page="", type_=TEXT):
        self.page = page.encode() if isinstance(page, str) else page
        self.type = type_
        self.code = 200
        self.headers = {}
        self.answer = None  # a function of the handler that answers in place of the page
        self.served = 0
        self.asked = []     # headers of the last requests
        self.open(0)

    def open(self, port):
        super().open(port)
        self.url = f"http://{self.address}/metrics"

    def get(self, handler):
        if handler.path == "/is_admire_proxy.html":  # whether this is a proxy
            handler.send_error(404)
            return
        self.asked = self.asked[-9:] + [dict(handler.headers)]
        if self.answer:
            self.answer(handler)
            return
        page = self.page(handler) if callable(self.page) else self.page
        handler.send_response(self.code)
        handler.send_header("Content-Length", str(len(page)))
        if self.type is not None:
            handler.send_header("Content-Type", self.type)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(page)
        self.served += 1
