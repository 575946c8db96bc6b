"""
The API documentation as one HTML page, rendered from OpenAPI documents. It has no scripts and loads nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 small { font-weight: normal; opacity: .6; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .3rem .7rem; }
summary { cursor: pointer; } code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem; overflow: auto; border-radius: 4px; }
summary b { display: inline-block; min-width: 4.5rem; font: 600 13px ui-monospace, monospace; }
summary span { opacity: .7; margin-left: 1rem; } table { border-collapse: collapse; }
td, th { text-align: left; padding: .15rem 1.2rem .15rem 0; vertical-align: top; }
"""
STYLE_SOURCE: Final = "sha256-" + base64.b64encode(sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src '{STYLE_SOURCE}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

BOUNDS: Final = (
    ("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"),
)  # fmt: skip
NOTHING: Final = (None, "")
MARKED: Final = re.compile(r"`([^`]+)`")
EMPHASIS: Final = re.compile(r"(?<![\w*])\*(\w[^*]*)\*(?![\w*])")


def render_docs_page(parts: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """
    Render several OpenAPI documents, each under its name, as one HTML page.
    """
    parts = list(parts)
    title = parts[0][1]["info"]["title"] if parts else "API"
    links = " · ".join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name, _ in parts)
    body = "".join(_part(name, document) for name, document in parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f'<body><h1>{escape(title)}</h1><p>{links} · <a href="openapi.json">openapi.json</a></p>{body}</body></html>'
    ).encode()


def _part(name: str, document: Mapping[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method.upper(), path, operation))
    listed = "".join(f"<h3>{escape(tag)}</h3>{''.join(operations)}" for tag, operations in groups.items())
    schemas = "".join(
        f'<details id="{_anchor(name, component)}"><summary><code>{escape(component)}</code></summary>'
        f"<pre>{_pretty(schema)}</pre></details>"
        for component, schema in document["components"]["schemas"].items()
    )
    version, about = escape(document["info"].get("version", "")), _rich(document["info"].get("description", ""))
    heading = f'<h2 id="{_anchor(name)}">{escape(name)} <small>{version}</small></h2>'
    return f"{heading}{f'<p>{about}</p>' if about else ''}{listed}<h3>Schemas</h3>{schemas}"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{'required' if one['required'] else ''}</td><td>{escape(_words(one['schema']))}</td></tr>"
        for one in operation.get("parameters", ())
    )
    access = operation["x-access"]
    who = " · ".join([access["who"].rstrip("."), *access.get("credentials", ())])
    limits = operation.get("x-ratelimit")
    limited = f"<p>Limits: {escape(' · '.join(map(_limit, limits)))}</p>" if limits else ""
    shapes = [("takes", operation.get("requestBody", {}))]
    shapes += [(status, response) for status, response in operation["responses"].items()]
    bodies = "".join(
        f"<tr><th>{escape(label)}</th><td>{_rich(shape.get('description', ''))}</td>"
        f"<td>{escape(_words(_schema(shape)))}</td></tr>"
        for label, shape in shapes
        if shape
    )
    return (
        f"<details><summary><b>{method}</b><code>{escape(path)}</code><span>{_rich(operation['summary'])}</span>"
        f"</summary><p>{_rich(operation['description'])}</p><p>For: {escape(who)}</p>{limited}"
        f"<table>{rows}</table><table>{bodies}</table></details>"
    )


def _anchor(*names: str) -> str:
    return escape(".".join(names).replace(" ", "-"))  # an id has no spaces


def _schema(shape: Mapping[str, Any]) -> Any:
    return shape.get("content", {}).get("application/json", {}).get("schema", {})


def _limit(limit: Mapping[str, Any]) -> str:
    window = f"in any {limit['seconds']} s" if limit.get("sliding") else f"in {limit['seconds']} s"
    return f"{limit['class']}: {limit['limit']} {window} per {limit['per']}"


def _words(schema: Mapping[str, Any]) -> str:
    """
    Describe a JSON schema in a few words: its type, its bounds and its default.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        said = " or ".join(dict.fromkeys(map(_words, choices)))
    elif "enum" in schema:
        said = ", ".join(map(str, schema["enum"]))
    elif schema.get("type") == "array":
        said = f"list of {_words(schema.get('items', {})) or 'anything'}"
    else:
        said = str(schema.get("format") or schema.get("type", ""))
    bounds = [_bounds(schema.get(least), schema.get(most), unit) for least, most, unit in BOUNDS]
    default = schema.get("default")
    unsent = "" if default in NOTHING else f"{default if isinstance(default, str) else json.dumps(default)} unless sent"
    return ", ".join(filter(None, [said, *bounds, unsent]))


def _bounds(least: object, most: object, unit: str) -> str:
    match least, most:
        case None, None:
            return ""
        case _, None:
            return f"at least {least}{unit.removesuffix('s') if least == 1 else unit}"
        case None, _:
            return f"at most {most}{unit}"
    return f"{least} to {most}{unit}"


def _rich(text: str) -> str:
    """
    Convert text with Markdown `code` and *emphasis* to HTML.
    """
    parts = MARKED.split(escape(text))  # every second part is code
    parts[::2] = [EMPHASIS.sub(r"<em>\1</em>", part) for part in parts[::2]]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return "".join(parts)


def _pretty(schema: Any) -> str:
    return escape(json.dumps(schema, indent=2))
