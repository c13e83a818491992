"""The page that the root shows to browsers: one file, page.html, which uses the other paths of the server."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from starlette.responses import HTMLResponse

VARY = {"Vary": "Accept"}


def make_page() -> HTMLResponse:
    """Make the response with the page. Its policy allows its own script and style, and requests to this server."""
    html = (files("moreish.serving") / "page.html").read_text(encoding="utf-8")
    policy = [
        "default-src 'none'",
        f"script-src {_hash_of('script', html)}",
        f"style-src {_hash_of('style', html)}",
        "connect-src 'self'",
        "img-src data:",  # the icon
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        **VARY,
    }
    return HTMLResponse(html, headers=headers)


def _hash_of(tag: str, html: str) -> str:
    """Return the hash of the one element with that tag, as a source of the policy."""
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def prefers_html(accept: str) -> bool:
    """Return True if an Accept header prefers HTML to JSON, as those of browsers do."""
    quality: dict[str, float] = {}
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        q = next((part.removeprefix("q=") for part in parameters if part.startswith("q=")), "1")
        quality[kind] = float(q) if re.fullmatch(r"[01](\.\d{0,3})?", q) else 0.0
    any_kind = quality.get("*/*", 0.0)
    html = quality.get("text/html", quality.get("text/*", any_kind))
    return html > quality.get("application/json", quality.get("application/*", any_kind))
