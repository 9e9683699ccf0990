"""A headless Chromium, driven over its DevTools protocol through a pipe: nothing but the standard library."""

import base64
import collections
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time


class Browser:
    """One Chromium with a profile of its own, which goes with it."""

    def __init__(self, binary="chromium"):
        self.profile = tempfile.mkdtemp(prefix="shoal-ui-")
        # Chromium reads commands from its descriptor 3 and answers on 4.
        commands, self.to_browser = os.pipe()
        self.from_browser, answers = os.pipe()
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", "--disable-extensions", "--remote-debugging-pipe",
                 f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(["bash", "-c", script, binary, *flags], pass_fds=(commands, answers),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.number = 0
        self.lock = threading.Lock()
        self.replies = {}
        self.arrived = threading.Condition()
        self.pages = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while True:
            try:
                piece = os.read(self.from_browser, 1 << 20)
            except OSError:
                return
            if not piece:
                return
            *whole, rest = (rest + piece).split(b"\0")
            for raw in whole:
                message = json.loads(raw)
                with self.arrived:
                    if "id" in message:
                        self.replies[message["id"]] = message
                    elif message.get("sessionId") in self.pages:
                        self.pages[message["sessionId"]].hear(message["method"], message["params"])
                    self.arrived.notify_all()

    def call(self, method, session=None, patience=30, **params):
        with self.lock:
            self.number += 1
            number = self.number
            message = {"id": number, "method": method, "params": params}
            if session:
                message["sessionId"] = session
            os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + patience
        with self.arrived:
            while number not in self.replies:
                left = until - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"the browser does not answer {method}")
                self.arrived.wait(min(left, 0.5))
            reply = self.replies.pop(number)
        if "error" in reply:
            raise AssertionError(f"{method}: {reply['error']}")
        return reply["result"]

    def page(self, url, **options):
        return Page(self, url, **options)

    def close(self):
        self.process.kill()
        self.process.wait()
        for end in (self.to_browser, self.from_browser):
            os.close(end)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """A tab with storage of its own. What it logs, throws and asks for is kept for a look at the end."""

    def __init__(self, browser, url, width=1280, height=800, dark=False, phone=False):
        self.browser = browser
        self.errors = []
        self.requests = []
        self.statuses = collections.Counter()
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.target = target
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.size(width, height, phone)
        self.colours(dark)
        self.go(url)

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def hear(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.responseReceived":
            self.statuses[params["response"]["status"]] += 1
        elif method == "Page.javascriptDialogOpening":
            self.errors.append(f"a dialog opened: {params['message']}")

    def size(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def colours(self, dark, still=True):
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                    {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def go(self, url):
        self.call("Page.navigate", url=url)

    def eval(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise AssertionError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    def wait(self, expression, what, patience=10.0):
        """The value of `expression` as soon as it is true, and the seconds that took."""
        began = time.monotonic()
        while True:
            try:
                value = self.eval(f"(found => found instanceof Node ? true : found)(document.readyState !== 'loading' && ({expression}))")
            except AssertionError:
                # Between two documents there is nothing to ask.
                value = None
            if value:
                return value, time.monotonic() - began
            if time.monotonic() - began > patience:
                text = self.eval("document.body.innerText")
                raise AssertionError(f"{what}: not within {patience} s; the page says:\n{text[:3000]}\n{self.errors}")
            time.sleep(0.02)

    def key(self, key, code=None, shift=False):
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        common = {"key": key, "code": code or key, "windowsVirtualKeyCode": codes.get(key, 0), "modifiers": 8 if shift else 0}
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
