"""
Months of the made-up nation: what happens to people, who tells whom of it, and when it is known.

Each household's months follow from the seed and its people alone. What is true, what is told and
what a clinic must be answered are three things, and none is worked out by the gateway.
"""
