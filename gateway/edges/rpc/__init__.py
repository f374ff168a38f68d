"""The gRPC edge: take the caller's identity and bytes, call a use case, spell the answer."""
