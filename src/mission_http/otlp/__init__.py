"""
The receiver of OpenTelemetry: usage of tokens in spans, metrics and logs.
"""
