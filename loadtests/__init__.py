"""
What is measured and what is shown: benches, kill rounds, fuzzing. Loopback only.

Each command first shows that its checker can fail, on a planted defect, and then runs.
"""
