"""The deadline matrix: every dependency hung, slow or broken at every point of a request, in the real Lambda runtime.

`faulty_peer` stands before a dependency and misbehaves, `points` names the places in a request, `matrix` runs the cells.
`make deadlines` runs `__main__`.
"""
