"""Exporters for tests: each a real HTTP server on a port of its own, with the page it is told.

    e = Exporter("a 1\\n")
    e.page = b"a 2\\n"             # what the next request gets; or a function of its handler
    e.served                       # how many pages were sent whole
"""
import http.server
import socket
import threading

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Exporter:
    def __init__(self, page="", type_=TEXT):
        self.page = page.encode() if isinstance(page, str) else page
        self.type = type_
        self.code = 200
        self.headers = {}
        self.answer = None  # a function of the handler that answers in place of the page
        self.served = 0
        self.asked = []     # headers of the last requests
        self.connections = set()
        self.open(0)

    def open(self, port):
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and page are two writes

            def setup(self):
                super().setup()
                exporter.connections.add(self.connection)

            def finish(self):
                exporter.connections.discard(self.connection)
                super().finish()

            def do_GET(self):
                if self.path == "/is_admire_proxy.html":  # whether this is a proxy
                    self.send_error(404)
                    return
                exporter.asked = exporter.asked[-9:] + [dict(self.headers)]
                if exporter.answer:
                    exporter.answer(self)
                    return
                page = exporter.page(self) if callable(exporter.page) else exporter.page
                self.send_response(exporter.code)
                self.send_header("Content-Length", str(len(page)))
                if exporter.type is not None:
                    self.send_header("Content-Type", exporter.type)
                for name, value in exporter.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(page)
                exporter.served += 1

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args):
                pass  # a client that has gone

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}/metrics"
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def close(self):
        """No request is answered any more; open(e.port) brings it back."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed
