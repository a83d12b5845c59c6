"""The leak scan: sends many requests, with faults, to every function and searches every sink for every secret of the run.

`shapes` says what a secret can look like, `search` finds it, `capture` collects what leaves the functions, `allowed` has the
places where a secret may be. `account`, `faults` and `scenarios` make the requests, `runtime_sample` repeats some in the real
Lambda runtime, `proof` plants secrets to show that they are found, `scan` has the order. `make leak-scan` runs `__main__`.
"""
