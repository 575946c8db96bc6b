"""
Organizations, principals and the keys they come with.
"""
