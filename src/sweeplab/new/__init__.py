"""A project of one's own: `sweeplab new <folder>` makes it from the clone's own files, and copies nothing of sweeplab.

Public is the command. `files` says which files a project has, `project` writes them.
"""
