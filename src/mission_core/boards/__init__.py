"""
Boards, where work lives: their names, ticket prefixes and gate sets.
"""
