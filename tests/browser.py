"""A browser for tests: Chromium without a window, driven through its debugging protocol over two pipes."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


class Browser:
    """One page of Chromium.

    Attributes:
        requests: addresses of all that the page has asked for, in their order.
        problems: errors of the page and those that the browser reports for it.
    """

    def __init__(self, profile: Path):
        assert CHROMIUM
        reader, writer = os.pipe(), os.pipe()
        # Chromium reads commands from descriptor 3 and writes to descriptor 4.
        command = f'exec "$0" "$@" 3<&{reader[0]} 4>&{writer[1]}'
        options = [*_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, *options], pass_fds=(reader[0], writer[1]), stderr=subprocess.DEVNULL
        )
        os.close(reader[0])
        os.close(writer[1])
        self._commands, self._answers = os.fdopen(reader[1], "wb"), os.fdopen(writer[0], "rb", buffering=0)
        self._pending, self._count, self._session = b"", 0, None
        self.requests: list[str] = []
        self.problems: list[str] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: object) -> dict[str, Any]:
        """Carry out one command of the protocol; events that come before its answer are noted."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer.get("method"), answer.get("params", {}))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            part = self._answers.read(1 << 20)
            assert part, "Chromium has ended"
            self._pending += part
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: str | None, parameters: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Runtime.exceptionThrown" or parameters.get("entry", {}).get("level") == "error":
            self.problems.append(json.dumps(parameters))

    def open(self, address: str, language: str) -> None:
        """Go to a page as a browser of this language, whose own name is left as it is."""
        agent = self.evaluate("navigator.userAgent")
        self.do("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self.do("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript, which JSON can hold, in the page."""
        result = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Wait until JavaScript is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < end, (expression, self.problems, self.evaluate("document.body.innerText"))
            time.sleep(0.05)

    def close(self) -> None:
        self._commands.close()
        self._answers.close()
        self._process.terminate()
        self._process.wait(20)
