"""The statements of a Citus cluster; see `gateway.store.postgres_cluster`."""

from __future__ import annotations

from typing import Final

HAS_EXTENSION: Final = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"

IS_SPREAD: Final = "SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass('people')"
"""Where the extension is; a database may have it and be one server's all the same."""

WORKERS: Final = "SELECT node_name FROM citus_get_active_worker_nodes()"

DISTRIBUTED: Final = """
SELECT CASE nspname WHEN 'vault' THEN 'vault.' ELSE '' END || pg_class.relname::text,
    distribution_column
FROM citus_tables JOIN pg_class ON pg_class.oid = table_name
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE citus_table_type = 'distributed'
"""
"""By `relname`: the name of `overlaps` is a word of SQL, and a `regclass` would quote it."""

ONE_SHARD_AT_A_TIME: Final = "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"
"""Else what changes many shards cannot follow what changed one in the same transaction."""

BE_COORDINATED: Final = """
SELECT set_config('plan_cache_mode', 'auto', false),
    set_config('citus.override_table_visibility', 'off', false),
    set_config('citus.multi_shard_modify_mode', 'sequential', false)
FROM pg_extension WHERE extname = 'citus'
"""
"""
Of a connection: a plan may differ by the keys it is for, since it says which places they are at.

Hiding shards in the lists of tables costs a second where the driver asks what an array is. One
connection for each shard, which is what rows are copied over else, costs another.
"""

COMMITS: Final = "SELECT announced_time, last_recorded_time FROM meta WHERE meta_id = 1"

ANNOUNCE: Final = """
UPDATE meta SET announced_time = ? WHERE meta_id = 1 AND announced_time < ?
"""

PUBLISH: Final = """
UPDATE meta SET last_recorded_time = announced_time
WHERE meta_id = 1 AND last_recorded_time < announced_time
"""

RETRACT: Final = "UPDATE meta SET announced_time = last_recorded_time WHERE meta_id = 1"

RECOVER: Final = "SELECT recover_prepared_transactions()"
"""Ends what a crash left prepared: kept if the coordinator had committed it, else taken back."""

UNFINISHED: Final = r"""
SELECT success, result FROM run_command_on_all_nodes($$
SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relkind = 'r'
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND relname ~ '_\d{6,}$' AND relname !~ '^(numbers|spool_chunks)_\d+$'
$$)
"""
"""
On each server, how many shards something holds that has written facts and not ended.

Whatever writes a row holds this lock on its table until it ends, also once it is prepared. Vault
and spool are written beside the facts and are left out.
"""

PEOPLE_MATCHING: Final = """
SELECT person_key FROM lookups WHERE lookup_key = ? AND birth_date = ? LIMIT ?
"""

COMPACT: Final = "SELECT compact FROM people WHERE person_key = ?"

HOLDER: Final = "SELECT person_key FROM cards WHERE card_key = ?"
