"""Opens a page in a real browser without a window: Qt's build of Chromium, which PyPI has.

Run as a program, because a browser takes over its process:
``python browser.py PAGE PIXELS light|dark PICTURE`` writes a picture of the whole page and prints
a JSON object with what the browser noticed. A PDF instead is printed, as on paper.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# `make unit` installs it here, outside the environment, because nothing else needs it.
FOLDER = Path(sys.prefix) / "browser"
_MEASURE = """JSON.stringify({
  width: innerWidth, scroll_width: document.documentElement.scrollWidth,
  height: document.documentElement.scrollHeight, title: document.title,
  background: getComputedStyle(document.body).backgroundColor,
  text: document.body.innerText, scripts: document.scripts.length,
  overflowing: [...document.querySelectorAll('svg text')].filter(text => {
    const box = text.getBoundingClientRect(), svg = text.closest('svg').getBoundingClientRect();
    return box.left < svg.left - 1 || box.right > svg.right + 1 || box.bottom > svg.bottom + 1;
  }).map(text => text.textContent),
  smallest_text: Math.min(99, ...[...document.querySelectorAll('svg text')].map(
    text => parseFloat(getComputedStyle(text).fontSize)
      * text.closest('svg').getBoundingClientRect().width / 360)),
})"""


@functools.cache
def why_missing() -> str:
    """Return why there is no browser here; empty if there is one."""
    if not (FOLDER / "PySide6").is_dir():
        return "no browser is installed: `make unit` does that"
    code = "from PySide6 import QtWebEngineWidgets"
    command, environment = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(FOLDER)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else f"the browser lacks a library: {lines[-1:]}"


def look_at(page: Path | str, pixels: int, scheme: str, picture: Path) -> dict[str, Any]:
    """Open a page in a browser of this width, take a picture, and return what was noticed.

    The page is a file, or an address (``file:///search.html?q=word``).
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(FOLDER),
        "QT_QPA_PLATFORM": "offscreen",
        "QT_QUICK_BACKEND": "software",
        # Chromium's own sandbox doesn't start as root, nor in most containers.
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--disable-gpu --no-first-run --disable-sync "
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
    }
    command = [sys.executable, __file__, str(page), str(pixels), scheme, str(picture)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the browser ended with {done.returncode}: {done.stderr[-2000:]}")
    noticed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return noticed


def _main(page: str, pixels: str, scheme: str, picture: str) -> None:
    from PySide6.QtCore import QMarginsF, QTimer, QUrl
    from PySide6.QtGui import QPageLayout, QPageSize
    from PySide6.QtWebEngineCore import (
        QWebEnginePage,
        QWebEngineProfile,
        QWebEngineUrlRequestInterceptor,
    )
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication

    messages: list[str] = []
    requests: list[str] = []

    class Page(QWebEnginePage):  # type: ignore[misc]
        def javaScriptConsoleMessage(self, level: Any, message: str, *_: Any) -> None:
            messages.append(message)

    class Interceptor(QWebEngineUrlRequestInterceptor):  # type: ignore[misc]
        def interceptRequest(self, info: Any) -> None:
            requests.append(info.requestUrl().toString())

    application = QApplication(["browser"])
    profile = QWebEngineProfile()
    interceptor = Interceptor()
    profile.setUrlRequestInterceptor(interceptor)
    view = QWebEngineView()
    web_page = Page(profile, view)
    view.setPage(web_page)
    web_page.settings().setAttribute(web_page.settings().WebAttribute.ShowScrollBars, False)
    view.resize(int(pixels), 900)
    view.show()

    def finish(noticed: dict[str, Any]) -> None:
        print(json.dumps({**noticed, "console": messages, "requests": requests}), flush=True)
        os._exit(0)  # Qt's own end is slow, and may complain

    def grab(noticed: dict[str, Any]) -> None:
        view.grab().save(picture)
        finish(noticed)

    def measured(text: str) -> None:
        noticed = json.loads(text)
        if picture.endswith(".pdf"):
            layout = QPageLayout(
                QPageSize(QPageSize.PageSizeId.A4),
                QPageLayout.Orientation.Portrait,
                QMarginsF(40, 40, 40, 40),
            )
            web_page.pdfPrintingFinished.connect(lambda *_: finish(noticed))
            web_page.printToPdf(picture, layout)
            return
        view.resize(int(pixels), min(int(noticed["height"]), 12_000))
        QTimer.singleShot(2000, lambda: grab(noticed))

    view.loadFinished.connect(
        lambda _: QTimer.singleShot(300, lambda: web_page.runJavaScript(_MEASURE, 0, measured))
    )
    view.load(QUrl(page) if page.startswith("file:") else QUrl.fromLocalFile(page))
    QTimer.singleShot(90_000, lambda: os._exit(3))
    application.exec()


if __name__ == "__main__":
    _main(*sys.argv[1:])
