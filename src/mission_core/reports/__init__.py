"""
Reports on tasks, agents and the event log: throughput, durations, workload and errors.
"""
