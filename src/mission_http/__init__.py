"""
The core over HTTP, in two dialects.
"""
