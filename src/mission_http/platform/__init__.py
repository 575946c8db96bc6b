"""
Shared parts of both HTTP dialects: endpoint tables, request bodies, errors, the OpenAPI document, response headers.
"""
