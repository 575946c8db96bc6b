"""
Detection of prompt injection: rules for text that would turn an agent against its operator.

Each rule is applied to the text as it is, to the text without invisible and look-alike characters, and to the text with
simple encodings (rot13, percent encoding, base64) removed. The time a text takes is linear in its length.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from base64 import b64decode
from codecs import encode
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final
from urllib.parse import unquote

from mission_core.lazy_attrs import frozen

MAX_SCREENED: Final = 50_000
"""The number of characters that are examined."""
MAX_BASE64_RUNS: Final = 5
MIN_BASE64_RUN: Final = 24


class Severity(StrEnum):
    """
    The severity of a finding: `info` is only reported, `warning` is suspicious, and `critical` text must not
    be delivered.
    """

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@frozen
class ScreeningRule:
    """
    A detection rule. Each of its *patterns* is one regular expression, or several that must match one after another on
    one line.
    """

    rule: str
    severity: Severity
    description: str
    patterns: tuple[tuple[re.Pattern[str], ...], ...]

    def matches(self, text: str, lines: Sequence[str]) -> bool:
        """
        Whether one of *patterns* matches: one expression in the whole text, several expressions on one line.
        """
        return any(
            any(_in_order(form, line) for line in lines) if len(form) > 1 else form[0].search(text) is not None
            for form in self.patterns
        )


def _in_order(form: Iterable[re.Pattern[str]], line: str) -> bool:
    at = 0
    for step in form:
        found = step.search(line, at)
        if found is None:
            return False
        at = found.end()
    return True


def _rule(rule: str, severity: Severity, description: str, *forms: str | tuple[str, ...]) -> ScreeningRule:
    steps = (form if isinstance(form, tuple) else (form,) for form in forms)
    compiled = tuple(tuple(re.compile(step, re.IGNORECASE) for step in each) for each in steps)
    return ScreeningRule(rule, severity, description, compiled)


INTERPRETERS: Final = r"(?:bash|sh|zsh|python[\d.]*|perl|ruby|node)\b"
SCREENING_RULES: Final = (
    _rule(
        "prompt-override", Severity.CRITICAL, "Attempts to override system instructions",
        r"\b(?:ignore|disregard|forget|override)\s+(?:all\s+)?(?:(?:previous|prior|above|your|system)\s+){1,2}"
        r"(?:instruction|rule|guideline|prompt|directive|constraint)",
    ),
    _rule(
        "prompt-new-identity", Severity.CRITICAL, "Attempts to assign a new identity or unrestricted role",
        r"\byou\s+are\s+now\b",
        r"\bact\s+as\s+(?:if\s+you\s+(?:are|were)\s+)?(?:an?\s+)?"
        r"(?:restricted|unrestricted|evil|jailbroken|different|new)\b",
    ),
    _rule(
        "prompt-safety-bypass", Severity.CRITICAL, "Attempts to bypass safety measures",
        r"\b(?:bypass|disable|turn\s+off|deactivate|circumvent)\s+(?:all\s+)?"
        r"(?:safety|security|content|moderation|ethics)\b",
    ),
    _rule(
        "prompt-hidden-instruction", Severity.CRITICAL, "Hidden system-style instruction markers",
        r"\[\s*(?:system|inst|hidden|admin|important)(?:\s+(?:override|message|instruction))?\s*[\]:][\s\S]{10}",
    ),
    _rule(
        "prompt-delimiter-escape", Severity.WARNING, "Role tags that could end a prompt",
        r"</?\s*(?:system|user|assistant|human)\s*>", r"<\|(?:im_start|im_end|system|user|assistant)\|>",
        r"```\s*system\b",
    ),
    _rule(
        "prompt-repeat-leak", Severity.WARNING, "Asks for the system prompt",
        (r"\b(?:repeat|reveal|print|show|output|display)\b", r"\b(?:system\s+prompt|your\s+(?:prompt|instruction))"),
    ),
    _rule(
        "cmd-shell-metachar", Severity.CRITICAL, "Shell metacharacters followed by dangerous commands",
        r"[;&|`$]\s*(?:rm|wget|curl|nc|ncat|bash|sh|python[\d.]*|perl|ruby|php|node)\b",
        r"\$\([^)\n]{0,200}\b(?:rm|wget|curl|nc|bash|sh)\b",
    ),
    _rule("cmd-path-traversal", Severity.CRITICAL, "Path traversal sequences", r"(?:\.\.[/\\]){2}"),
    _rule(
        "cmd-pipe-download", Severity.CRITICAL, "Download-and-run pattern (piped curl/wget to interpreter)",
        (r"\b(?:curl|wget)\b", rf"\|\s*(?:sudo\s+)?{INTERPRETERS}"),
    ),
    _rule(
        "cmd-reverse-shell", Severity.CRITICAL, "Reverse shell patterns",
        r"/dev/tcp\b", r"\bmkfifo\b", r"\b(?:nc|ncat)\s+(?:\S{1,64}\s+){0,3}-[a-z]{0,8}[elp]\b",
        (r"\bbash\s+-i\b", r"[<>]&?\s*/dev/"), (r"\bpython", r"\bsocket\b", r"\bconnect\b"),
    ),
    _rule(
        "cmd-env-access", Severity.WARNING, "Reads secrets of the environment",
        r"\bprintenv\b", (r"\benv\b", r"(?:key|secret|token|password)"),
        (r"\b(?:cat|less|more|head|tail|read|source)\b", r"\.env\b|/environ\b|/etc/(?:shadow|passwd)\b"),
    ),
    _rule(
        "cmd-ssrf", Severity.CRITICAL, "SSRF targeting internal/metadata endpoints",
        (
            r"\b(?:curl|wget|fetch|axios|urlopen)\b|\b(?:http|https|requests|httpx)\.(?:get|post|request)\b",
            r"\b169\.254\.169\.254\b|\bmetadata\.google\.internal\b|\b100\.100\.100\.200\b|fd00:ec2::254"
            r"|(?:\blocalhost|\b127\.0\.0\.1|\b0\.0\.0\.0|\[::1\]):\d",
        ),
    ),
    _rule(
        "cmd-template-injection", Severity.WARNING, "Template expressions that reach for the runtime",
        r"\{\{[^{}\n]{0,200}(?:config|globals|runtime|__class__|constructor)",
        r"\$\{[^{}\n]{0,200}(?:config|globals|runtime|process\b|constructor)",
    ),
    _rule(
        "cmd-sql-injection", Severity.CRITICAL, "SQL injection patterns",
        r"\bunion\s+(?:all\s+)?select\b", r";\s*drop\s+table\b", r"['\"]\s*or\s+['\"]?1['\"]?\s*=\s*['\"]?1",
        r"['\"]\s*;\s*(?:delete|insert|update|alter)\b",
    ),
    _rule(
        "exfil-send-data", Severity.CRITICAL, "Instructions to exfiltrate data",
        r"\b(?:send|post|upload|transmit|exfiltrate|forward)\s+(?:all\s+)?(?:the\s+)?"
        r"(?:data|files?|contents?|secrets?|keys?|tokens?|credentials?|passwords?|env)\s+(?:to|via|using|through)\b",
    ),
    _rule(
        "exfil-webhook", Severity.WARNING, "Sends what happens to another host",
        r"\b(?:webhook|callback|postback)(?:_?url)?['\"]?\s*[:=]\s*['\"]?https?://(?!localhost|127\.|\[::1\])",
    ),
    _rule(
        "enc-base64-run", Severity.WARNING, "Decodes what it does not show",
        r"\batob\s*\(", r"\bb64decode\b", r"\bbase64\s+(?:-d|-D|--decode)\b", (r"\bBuffer\.from\b", r"\bbase64\b"),
    ),
    _rule(
        "enc-heavy-hex", Severity.INFO, "Long runs of escaped characters",
        r"(?:\\x[0-9a-f]{2}){10}", r"(?:\\u[0-9a-f]{4}){10}",
    ),
)  # fmt: skip

INVISIBLE: Final = re.compile("[\x00\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
LINE_ENDS: Final = re.compile("[\x0b\x0c\x85\u2028\u2029]")
LOOK_ALIKES: Final = str.maketrans(
    "АВЕЅІЈКМНОРСТХУаеѕіјорсухԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχ",
    "ABESIJKMHOPCTXYaesijopcyxdqwhABEZHIKMNOPTYXaeiknoptyx",
)
DANGEROUS_WORDS: Final = re.compile(
    r"ignore|override|execute|delete|remove|rm -rf|bypass|disable|system|admin|root|sudo|jailbreak|unrestricted|forget"
    r"|disregard",
    re.IGNORECASE,
)
BASE64_RUN: Final = re.compile(rf"[A-Za-z0-9+/]{{{MIN_BASE64_RUN},}}={{0,2}}")


@frozen
class ScreeningFinding:
    """
    A rule that a text matches.
    """

    rule: str
    severity: Severity
    description: str


def screen_text(text: str) -> tuple[ScreeningFinding, ...]:
    """
    The findings in a text, at most one for each rule.
    """
    readings = [(each, each.splitlines()) for each in dict.fromkeys(_readings_of(text[:MAX_SCREENED]))]
    return tuple(
        ScreeningFinding(screen.rule, screen.severity, screen.description)
        for screen in SCREENING_RULES
        if any(screen.matches(each, lines) for each, lines in readings)
    )


def critical_findings(text: str) -> tuple[ScreeningFinding, ...]:
    """
    The critical findings in a text: with any, the text must not be delivered.
    """
    return tuple(finding for finding in screen_text(text) if finding.severity is Severity.CRITICAL)


def _readings_of(text: str) -> Iterable[str]:
    """
    The text in each form that the rules are applied to.
    """
    yield text
    plain = unicodedata.normalize("NFKC", LINE_ENDS.sub("\n", INVISIBLE.sub("", text)).translate(LOOK_ALIKES))
    yield plain
    turned = encode(plain, "rot13")
    if {*map(str.lower, DANGEROUS_WORDS.findall(turned))} - {*map(str.lower, DANGEROUS_WORDS.findall(plain))}:
        yield turned
    if "%" in plain:
        yield unquote(plain)
    for run in islice(BASE64_RUN.finditer(plain), MAX_BASE64_RUNS):
        hidden = _decoded_base64(run[0])
        if hidden is not None:
            yield hidden


def _decoded_base64(run: str) -> str | None:
    """
    The printable text that a run of base64 encodes, or None.
    """
    try:
        found = b64decode(run.rstrip("=") + "=" * (-len(run.rstrip("=")) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return found if all(c.isprintable() or c in "\n\r\t" for c in found) else None
