"""Chromium, in which tests open pages."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
)
needs_browser = pytest.mark.skipif(
    BROWSER is None and not os.environ.get("MOREISH_NEEDS_BROWSER"), reason="there is no Chromium on this machine"
)


def browsed(address: str, profile: Path, *switches: str) -> subprocess.CompletedProcess:
    """Open an address in Chromium."""
    assert BROWSER is not None, "MOREISH_NEEDS_BROWSER is set, and there is no Chromium"
    command = [BROWSER, *SWITCHES, f"--user-data-dir={profile}", *switches, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
