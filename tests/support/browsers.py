"""A real browser that tells what a page does, and names that try to break out of it."""

import json
from pathlib import Path
from typing import Any

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"quo\'ted" & <b>bold</b>',
    "\u202eright to left עברית",
)


class Browser:
    """A headless Chromium that records what the page logs and asks for."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        self.driver.set_window_size(width, height)
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri())

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def problems(self) -> list[str]:
        """Return what the console says, and requests for anything but the page and data in it."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("data:", "file:")):
                    said.append(f"request to {url}")
        return said
