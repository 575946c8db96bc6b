"""
Boards: their names, ticket prefixes, gates, groups, tags, custom fields and access grants.
"""
