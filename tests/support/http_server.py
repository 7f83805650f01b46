"""A real HTTP server on a port of its own, that can be closed and brought back.

    class Echo(HttpServer):
        def get(self, handler): ...    # answers one request
    e = Echo(); e.open(0); e.close(); e.open(e.port)
"""
import http.server
import socket
import threading


class HttpServer:
    def open(self, port):
        owner = self
        self.connections = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def setup(self):
                super().setup()
                owner.connections.add(self.connection)

            def finish(self):
                owner.connections.discard(self.connection)
                super().finish()

            def do_GET(self):
                owner.get(self)

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
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        """No request is answered any more."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed
