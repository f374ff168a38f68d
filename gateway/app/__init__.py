"""
The composition root: the only room that reads the clock, makes ids and names adapters.

`supervisor` starts and restarts the processes; `worker` answers lookups; `writer` owns what is
written; `bridge` serves one institution's folders; `sandbox` and `demo` put them all together.
"""
