"""JSON schemas of a project's `conf/`, from the signatures of what its `_target_`s name.

Public are the commands `sweeplab schema` and `sweeplab check`: `command` has them. `target` describes one class or
function, `configuration` all of `conf/`.
"""
