"""
Everything that remembers: the port, its adapters, the vault, the spool, the access log.

Only `gateway.app` names an adapter; everyone else sees `gateway.store.port`.
"""
