"""
What is measured and what is shown: benches, kill rounds, fuzzing. Loopback only.

Each command first shows that its checker can fail, on a planted defect, and then runs.
"""

import os

# A load test starts servers beside its own clients. In such a fork gRPC would send over connections
# that the clients still use, and the gateway would refuse what it cannot decrypt.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
