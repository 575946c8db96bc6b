"""
Spans, events and data points of OpenTelemetry, as both encodings tell them. Times are in nanoseconds since 1970, and 0
if they are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Scalar = str | bool | int | float
Attributes = Mapping[str, Scalar]
"""Attributes by name. Lists and maps are left out."""


class SpanItem(NamedTuple):
    """
    A span. *parent* is the id of the span around it, or empty.
    """

    resource: Attributes
    attributes: Attributes
    name: str
    trace: str
    span: str
    parent: str
    began_at: int
    ended_at: int


class EventItem(NamedTuple):
    """
    A log record, which may be an event.
    """

    resource: Attributes
    attributes: Attributes
    name: str
    body: str
    trace: str
    span: str
    at: int


class PointItem(NamedTuple):
    """
    A data point of a counter or histogram. The value of a histogram is its sum.

    Args:
        is_delta: Whether the value is that since the last reading, instead of that since the start.
    """

    resource: Attributes
    attributes: Attributes
    metric: str
    since: int
    at: int
    value: int | float
    is_delta: bool


Item = SpanItem | EventItem | PointItem
