"""The decisions of the executor, pure: no await, thread, clock, socket or Future in here.

Each class takes what happened and gives back what is to be done; the shells around it do it.
"""
