"""
The statements of the spool on a server, and of the keys it and the vault were written with.

A chunk is found by its first byte, so that two can never begin at one place.
"""

from __future__ import annotations

from typing import Final

ADD_CHUNK: Final = """
INSERT INTO spool_chunks (upload_key, first_byte, plain_bytes, key_id, nonce, ciphertext)
VALUES (?, ?, ?, ?, ?, ?)
"""

CHUNKS_END: Final = """
SELECT first_byte + plain_bytes FROM spool_chunks WHERE upload_key = ?
ORDER BY first_byte DESC LIMIT 1
"""

CHUNKS_BETWEEN: Final = """
SELECT first_byte, key_id, nonce, ciphertext FROM spool_chunks
WHERE upload_key = ?1 AND first_byte < ?3 AND first_byte >= (
    SELECT max(first_byte) FROM spool_chunks WHERE upload_key = ?1 AND first_byte <= ?2
)
ORDER BY first_byte
"""
"""From the chunk that holds one byte to the chunk before which another byte is."""

DROP_CHUNKS: Final = "DELETE FROM spool_chunks WHERE upload_key = ?"

SPOOLED_UPLOADS: Final = "SELECT DISTINCT upload_key FROM spool_chunks LIMIT ?"

OLD_CHUNKS: Final = """
SELECT upload_key, first_byte, key_id, nonce, ciphertext FROM spool_chunks
WHERE (upload_key, first_byte) > (?, ?) AND key_id <> ?
ORDER BY upload_key, first_byte LIMIT ?
"""

RENEW_CHUNK: Final = """
UPDATE spool_chunks SET key_id = ?, nonce = ?, ciphertext = ?
WHERE upload_key = ? AND first_byte = ?
"""

OLD_UPLOADS: Final = "SELECT count(DISTINCT upload_key) FROM spool_chunks WHERE key_id <> ?"

ADD_KEY: Final = """
INSERT INTO key_names (memory, key_id, fingerprint) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""

KEYS: Final = "SELECT key_id, fingerprint FROM key_names WHERE memory = ?"

KEEP_KEYS: Final = "SELECT pg_advisory_xact_lock_shared(?)"
"""Until the transaction ends no key is entered."""

CHANGE_KEYS: Final = "SELECT pg_advisory_xact_lock(?)"

FORGET_KEY: Final = "DELETE FROM key_names WHERE memory = ? AND key_id = ?"

UNROUTED: Final = frozenset({SPOOLED_UPLOADS, OLD_CHUNKS, OLD_UPLOADS})
"""Statements that concern every place: what waits at start-up, renewing."""
