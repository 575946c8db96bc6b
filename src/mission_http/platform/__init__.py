"""
What every dialect of the HTTP adapter stands on: endpoints, bodies, errors, the document and the headers.
"""
