"""A local server of small files, which goes on where a download broke off and notes what was asked for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Serves files by name; others are not found."""

    url: str
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[FileServer]:
    """Serve files on the loopback until the context ends."""
    served = FileServer("", dict(files))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            served.asked.append(name)
            content = served.files.get(name)
            if content is None:
                self.send_error(404)
                return
            ranged = self.headers.get("Range")
            start = int(ranged[6:-1]) if ranged else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
