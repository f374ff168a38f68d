"""Everything that spells: bytes to domain values and back. Pure; no paths, sockets or clocks."""
