"""Real agents on loopback, and just enough HTTP to talk to them."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def poll(what, ask, patience=20.0):
    """The first true answer."""
    until = time.monotonic() + patience
    while True:
        try:
            answer = ask()
        except (OSError, http.client.HTTPException):
            answer = None
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.01)


class Agent:
    def __init__(self, cluster, name, http_port=None, join=None, config=None):
        self.name = name
        self.port = http_port
        self.socket = f"{cluster.dir}/{name}.sock"
        self.out = f"{cluster.dir}/{name}.out"
        command = [cluster.binary, "agent", "--node", name, "--cluster", "shop", "--profile", "local", "--bind", "127.0.0.1:0",
                   "--socket", self.socket, "--data-dir", f"{cluster.dir}/{name}", "--log-level", "warn",
                   "--tag", f"rack=<b>{name}</b>"]
        command += ["--http", f"127.0.0.1:{http_port}"] if http_port else []
        command += ["--join", join] if join else []
        command += ["--config", config] if config else []
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SHOAL_")}
        with open(self.out, "wb") as out, open(f"{cluster.dir}/{name}.err", "ab") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        poll(f"agent {name}", lambda: self.process.poll() is None and "\njoin " in self.printed())

    def printed(self):
        with open(self.out) as out:
            return out.read()

    @property
    def gossip(self):
        return next(line.split()[1] for line in self.printed().splitlines() if line.startswith("gossip"))

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(self.socket)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise AssertionError(f"{method} {path}: {answer.status} {text}")
        return json.loads(text) if text else None

    def get(self, path):
        return self.ask("GET", path)

    def put(self, path, body=None):
        return self.ask("PUT", path, body)

    def register(self, name, **fields):
        body = {"Name": name, "Address": "10.0.0.7", "Port": 8080, "Check": {"TTL": "3600s", "Status": "passing"}}
        self.put("/v1/agent/service/register", body | fields)

    @contextlib.contextmanager
    def paused(self):
        """As a host that is suspended."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """As a power failure would."""
        self.process.kill()
        self.process.wait()


class Cluster:
    """Agents in a directory of their own; only they are ended."""

    def __init__(self, binary):
        self.binary = binary
        self.dir = tempfile.mkdtemp(prefix="shoal-ui-agents-")
        self.agents = []

    def start(self, name, **options):
        agent = Agent(self, name, **options)
        self.agents.append(agent)
        return agent

    def file(self, name, text, mode=0o600):
        path = f"{self.dir}/{name}"
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def close(self):
        for agent in self.agents:
            agent.process.kill()
        for agent in self.agents:
            agent.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
