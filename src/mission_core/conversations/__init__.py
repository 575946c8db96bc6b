"""
Memory of boards and board groups: entries that they keep, some of which are chat.
"""
