"""
Any steps on a store of either engine tell what they tell on the model, now and as of any time.

The steps are those of `loadtests.state_rules`; `python -m loadtests.state_machine` takes more of
them, and shows that planted defects are noticed. `ONSHI_HYPOTHESIS_EXAMPLES` raises how many runs
are tried.
"""

from __future__ import annotations

import os

from loadtests.state_engines import OnSqlite
from loadtests.state_rules import machine, steadily
from loadtests.state_world import Tally
from tests.store import postgres

EXAMPLES = int(os.environ.get("ONSHI_HYPOTHESIS_EXAMPLES", "40"))

TestSqliteStores = machine(Tally(), OnSqlite).TestCase
TestSqliteStores.settings = steadily(EXAMPLES)

TestAllStores = machine(Tally(), OnSqlite, postgres.engine).TestCase
TestAllStores.settings = steadily(-(-EXAMPLES // 5))
"""Each run has a database of its own on a server, which takes a second of a slow machine."""
