"""A stand-in for the local model's process: says the same line, answers /health, misbehaves.

    fake_child.py BEHAVIOUR [FILE]

Each start adds a line with the time to FILE, when given.
"""

import http.server
import json
import signal
import sys
import threading
import time
from pathlib import Path

behaviour, *files = sys.argv[1:]
starts = 1
if files:
    with Path(files[0]).open("a+") as file:
        file.write(f"{time.monotonic()}\n")
        file.seek(0)
        starts = len(file.readlines())

asked = 0


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        slow = behaviour == "slow" and asked <= 3
        self.send_response(503 if slow else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def say(**what):
    print(json.dumps(what), flush=True)


signal.signal(signal.SIGINT, signal.SIG_IGN)
if behaviour == "missing":
    say(missing="xllamacpp")
    sys.exit()
if behaviour == "broken":
    say(broken="libgomp.so.1: cannot open shared object file")
    sys.exit()
if behaviour == "dies_twice" and starts <= 2:
    sys.exit(7)
if behaviour == "babbles_once" and starts == 1:
    print("Segmentation fault", flush=True)
    sys.exit()
if behaviour == "stuck_once" and starts == 1:
    sys.stdin.read()
    sys.exit()
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(port=server.server_port)
sys.stdin.read()
while behaviour == "stubborn":
    time.sleep(60)
