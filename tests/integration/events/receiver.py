"""A receiver of webhooks in a process of its own: writes down what comes, then answers, or hangs until it is killed.

receiver.py PORT LOG [answer|hang|moved|refuse]
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATUS = {"answer": 204, "moved": 302, "refuse": 500}


class Handler(BaseHTTPRequestHandler):
    log = Path()
    mode = "answer"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.log.open("a") as file:
            file.write(json.dumps({"headers": dict(self.headers), "body": body, "path": self.path}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if self.mode == "hang":
            time.sleep(3600)
        self.send_response(STATUS[self.mode])
        if self.mode == "moved":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    Handler.log, Handler.mode = Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "answer"
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready", flush=True)
    server.serve_forever()
