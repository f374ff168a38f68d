"""
Where a statement goes on a distributed database: by which values its tables are found.

A table is found by equality of its distribution column with a placeholder or a literal, with
`IN` or `= ANY` over them, or with a column that is found so. An inequality, an `OR`, a subquery and
a function do not find it, even where a clever planner could: we do not depend on one. What a
condition of an outer join or of a subquery says is believed of the side it restricts, and of no
other.

It knows nothing of any place where statements stand; see `loadtests.statement_guard`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import sqlglot
from sqlglot import exp

Node: TypeAlias = tuple[int, str]
"""A column of a source, or a value: those have the source 0."""

_NUMBERED: Final = re.compile(r"\?(\d+)")


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a database: the columns of each, and by which column it is distributed."""

    columns: Mapping[str, frozenset[str]]
    distributed_by: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Touched:
    """A distributed table of a statement: in which step it is found, and by which value."""

    table: str
    column: str
    step: int
    """1: by a value; 2 and on: by what the step before has read; 0: it is not found."""
    place: Node


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement touches, and what it writes that it must not."""

    touched: tuple[Touched, ...]
    others: frozenset[str]
    """Tables that are not distributed."""
    faults: tuple[str, ...]


def readings(text: str, tables: Tables) -> Iterator[Reading]:
    """
    Read each statement of a text.

    Raises:
        sqlglot.errors.ParseError: It cannot be read.
    """
    for statement in sqlglot.parse(_NUMBERED.sub(r"$\1", text), dialect="postgres"):
        if statement is not None:
            yield _Statement(tables).read(statement)


@dataclass(slots=True)
class _Source:
    number: int
    alias: str
    table: str
    """Empty if it is none."""
    columns: frozenset[str] | None


@dataclass(slots=True)
class _Scope:
    parent: _Scope | None
    queries: dict[str, dict[str, Node]]
    """Named queries (`WITH`), with the column behind each of their plain columns."""
    sources: list[_Source] = field(default_factory=list)

    def column(self, column: exp.Column) -> Node | None:
        """The column a name means: the nearest source that has it."""
        scope: _Scope | None = self
        while scope is not None:
            for source in scope.sources:
                if column.table == source.alias or (
                    not column.table and (source.columns is None or column.name in source.columns)
                ):
                    return source.number, column.name
            scope = scope.parent
        return None


class _Statement:
    """One statement while it is read: which columns are equal, and which follow which."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._above: dict[Node, Node] = {}
        self._follows: dict[Node, set[Node]] = {}
        self._sources: list[_Source] = []
        self._values = 0
        self._others: set[str] = set()
        self._faults: list[str] = []

    def read(self, statement: exp.Expr) -> Reading:
        top = _Scope(None, {})
        match statement:
            case exp.Insert():
                self._insert(statement, top)
            case exp.Update() | exp.Delete():
                self._change(statement, top)
            case exp.Query():
                self._query(statement, top)
            case _:
                if self._named(statement):
                    self._faults.append(f"{statement.key} is not understood")
        return Reading(tuple(self._touched()), frozenset(self._others), tuple(self._faults))

    def _named(self, statement: exp.Expr) -> bool:
        return any(one.name in self._tables.distributed_by for one in statement.find_all(exp.Table))

    # What is equal to what.

    def _root(self, node: Node) -> Node:
        while (above := self._above.get(node, node)) != node:
            node = above
        return node

    def _equal(self, one: Node, other: Node) -> None:
        first, second = self._root(one), self._root(other)
        if first != second:
            # A value stands above columns.
            below, above = (first, second) if second[0] == 0 else (second, first)
            self._above[below] = above
            self._above.setdefault(above, above)

    def _value(self, name: str = "") -> Node:
        """A value; one without a name is equal to no other."""
        self._values += 1
        return 0, name or f"value {self._values}"

    def _behind(self, node: Node) -> Iterator[Node]:
        """The classes a column is in or follows, itself first, each once."""
        seen: set[Node] = set()
        waiting = [node]
        while waiting:
            root = self._root(waiting.pop())
            if root in seen:
                continue
            seen.add(root)
            yield root
            members = (one for one in self._follows if self._root(one) == root)
            waiting += [other for one in members for other in self._follows[one]]

    def _place(self, node: Node) -> Node:
        return next((root for root in self._behind(node) if root[0] == 0), self._root(node))

    # What is touched.

    def _touched(self) -> Iterator[Touched]:
        waiting = [
            (source, (source.number, self._tables.distributed_by[source.table]))
            for source in self._sources
            if source.table in self._tables.distributed_by
        ]
        read: set[int] = set()
        step = 1
        while waiting and step <= len(self._sources) + 1:
            found = [
                (source, node)
                for source, node in waiting
                if (self._is_behind(node, read) if step > 1 else self._place(node)[0] == 0)
            ]
            for source, node in found:
                yield Touched(source.table, node[1], step, self._place(node))
            read |= {source.number for source, _ in found}
            waiting = [one for one in waiting if one not in found]
            step += 1
        for source, node in waiting:
            yield Touched(source.table, node[1], 0, self._place(node))

    def _is_behind(self, node: Node, read: set[int]) -> bool:
        """Whether a column is equal to one of the sources that were read."""
        behind = set(self._behind(node))
        known = {*self._above, *self._follows}.union(*self._follows.values())
        return any(one[0] in read and self._root(one) in behind for one in known)

    # How statements are made.

    def _query(self, query: exp.Expr, scope: _Scope) -> dict[str, Node]:
        """Read a query; give the column behind each of its plain columns."""
        inner = _Scope(scope, dict(scope.queries))
        match query:
            case exp.Insert():
                self._insert(query, inner)
                return {}
            case exp.Update() | exp.Delete():
                self._change(query, inner)
                return {}
        self._with(query, inner)
        match query:
            case exp.Subquery():
                return self._query(query.this, inner)
            case exp.SetOperation():
                self._query(query.left, inner)
                self._query(query.right, inner)
                return {}
            case exp.Select():
                return self._select(query, inner)
        for source in query.find_all(exp.Table):
            self._source(source, inner)
        return {}

    def _with(self, query: exp.Expr, scope: _Scope) -> None:
        clause = query.args.get("with_")
        for one in clause.expressions if clause is not None else ():
            scope.queries[one.alias] = self._query(one.this, scope)

    def _select(self, select: exp.Select, scope: _Scope) -> dict[str, Node]:
        self._from(select.args.get("from_"), select.args.get("joins") or (), scope)
        here = {source.number for source in scope.sources}
        self._conditions(select.args.get("where"), scope, here)
        for part in ("expressions", "where", "group", "having", "order", "limit", "offset"):
            self._subqueries(select.args.get(part), scope)
        outputs = {}
        for one in select.expressions:
            plain = one.unalias()
            node = scope.column(plain) if isinstance(plain, exp.Column) else None
            if node is not None:
                outputs[one.alias_or_name] = node
        return outputs

    def _from(self, clause: exp.Expr | None, joins: Iterable[exp.Join], scope: _Scope) -> None:
        if clause is not None:
            self._source(clause.this, scope)
            joins = [*(clause.this.args.get("joins") or ()), *joins]
        for join in joins:
            before = list(scope.sources)
            number = self._source(join.this, scope)
            match join.side:
                case "":
                    here = {source.number for source in scope.sources}
                case "LEFT":
                    here = {number}
                case _:
                    here = set()
            for name in join.args.get("using") or ():
                left = _Scope(scope.parent, {}, before).column(exp.column(name.name))
                self._equality(left, (number, name.name), here)
            self._conditions(join.args.get("on"), scope, here)
            self._subqueries(join.args.get("on"), scope)

    def _source(self, source: exp.Expr, scope: _Scope) -> int:
        number = len(self._sources) + 1
        columns: frozenset[str] | None = frozenset()
        table = ""
        outputs: dict[str, Node] = {}
        if isinstance(source, exp.Table) and not source.db and source.name in scope.queries:
            outputs = scope.queries[source.name]
            columns = frozenset(outputs)
        elif isinstance(source, exp.Table):
            table = source.name
            columns = self._tables.columns.get(table)
            if table not in self._tables.distributed_by:
                self._others.add(table)
        mine = _Source(number, source.alias_or_name, table, columns)
        self._sources.append(mine)
        if isinstance(source, exp.Subquery):
            outputs = self._query(source, scope)
            mine.columns = frozenset(outputs)
        scope.sources.append(mine)
        for name, node in outputs.items():
            self._follows.setdefault((number, name), set()).add(node)
        return number

    def _subqueries(self, part: object, scope: _Scope) -> None:
        for one in part if isinstance(part, list) else [part]:
            if isinstance(one, exp.Query):
                self._query(one, scope)
            elif isinstance(one, exp.Expr):
                for child in one.iter_expressions():
                    self._subqueries(child, scope)

    def _conditions(self, clause: exp.Expr | None, scope: _Scope, here: set[int]) -> None:
        if isinstance(clause, exp.Where):
            clause = clause.this
        if clause is None:
            return
        for one in clause.flatten() if isinstance(clause, exp.And) else [clause]:
            condition = one.unnest()
            if isinstance(condition, exp.And):
                self._conditions(condition, scope, here)
            elif isinstance(condition, exp.EQ):
                for left, right in _pairs(condition.left.unnest(), condition.right.unnest()):
                    sides = self._node(left, scope), self._node(right, scope)
                    self._equality(*sides, here)
            elif isinstance(condition, exp.In) and _are_values(condition.expressions):
                self._equality(self._node(condition.this, scope), self._value(), here)

    def _node(self, side: exp.Expr, scope: _Scope) -> Node | None:
        """The column or the value that one side of an equality is, if it is one."""
        if isinstance(side, exp.Any) and _is_value(side.this):
            return self._value()
        if isinstance(side, exp.Column):
            return scope.column(side)
        return self._value(_value_name(side)) if _is_value(side) else None

    def _equality(self, one: Node | None, other: Node | None, here: set[int]) -> None:
        """Note an equality that restricts the sources `here` and no others."""
        if one is None or other is None:
            return
        free = {0, *here}
        if one[0] in free and other[0] in free:
            if one[0] or other[0]:
                self._equal(one, other)
        elif one[0] in here or other[0] in here:
            mine, its = (one, other) if one[0] in here else (other, one)
            self._follows.setdefault(mine, set()).add(its)

    # What writes.

    def _change(self, statement: exp.Update | exp.Delete, scope: _Scope) -> None:
        self._with(statement, scope)
        self._source(statement.this, scope)
        clause = statement.args.get("from_")
        self._from(clause, (), scope)
        for one in statement.args.get("using") or ():
            self._source(one, scope)
        # A left join after FROM would have restricted its own side alone.
        here = {source.number for source in scope.sources}
        self._conditions(statement.args.get("where"), scope, here)
        self._subqueries(statement.args.get("where"), scope)
        self._subqueries(statement.args.get("expressions"), scope)
        self._sets(statement.this.name, statement.expressions, "update")

    def _insert(self, insert: exp.Insert, scope: _Scope) -> None:
        self._with(insert, scope)
        target = insert.this
        names = [one.name for one in target.expressions] if isinstance(target, exp.Schema) else []
        table = target.this if isinstance(target, exp.Schema) else target
        rows = insert.expression
        number = self._source(table, _Scope(None, {}))
        column = self._tables.distributed_by.get(table.name)
        place = names.index(column) if column in names else None
        if isinstance(rows, exp.Values):
            self._subqueries(rows.expressions, scope)
            given = self._given([row.expressions for row in rows.expressions], place, scope)
        else:
            given = self._selected(rows, place, scope)
        if column is None:
            return
        if place is None:
            self._faults.append(f"the column list of {table.name} lacks {column}")
        else:
            self._equality(given, (number, column), {number})
        conflict = insert.args.get("conflict")
        if conflict is not None:
            self._conflict(conflict, table.name, column)

    def _given(
        self, rows: Sequence[list[exp.Expr]], place: int | None, scope: _Scope
    ) -> Node | None:
        if place is None or not _are_values([row[place] for row in rows if place < len(row)]):
            return None
        return self._node(rows[0][place], scope) if len(rows) == 1 else self._value()

    def _selected(self, query: exp.Expr, place: int | None, scope: _Scope) -> Node | None:
        before = len(self._sources)
        outputs = self._query(query, scope)
        distributed = self._tables.distributed_by
        if not any(one.table in distributed for one in self._sources[before:]):
            return self._value()  # Rows of a parameter: each goes to its place.
        chosen = query.expressions
        if place is None or place >= len(chosen):
            return None
        plain = chosen[place].unalias()
        if isinstance(plain, exp.Column):
            return outputs.get(chosen[place].alias_or_name)
        return self._node(plain, scope)

    def _conflict(self, conflict: exp.Expr, table: str, column: str) -> None:
        keys = conflict.args.get("conflict_keys") or ()
        names = {one.name for key in keys for one in key.find_all(exp.Identifier)}
        if names and column not in names:
            self._faults.append(f"the conflict target of {table} lacks {column}")
        self._sets(table, conflict.expressions, "upsert")

    def _sets(self, table: str, settings: Iterable[exp.Expr], verb: str) -> None:
        column = self._tables.distributed_by.get(table)
        for one in settings:
            if isinstance(one, exp.EQ) and column in {
                name.name for name in one.left.find_all(exp.Column)
            }:
                self._faults.append(f"the {verb} of {table} moves {column}")


def _pairs(left: exp.Expr, right: exp.Expr) -> list[tuple[exp.Expr, exp.Expr]]:
    if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        return list(zip(left.expressions, right.expressions, strict=False))
    return [(left, right)]


def _is_value(side: exp.Expr) -> bool:
    while isinstance(side, exp.Cast | exp.Paren):
        side = side.this
    return isinstance(side, exp.Placeholder | exp.Parameter | exp.Literal)


def _are_values(sides: Sequence[exp.Expr]) -> bool:
    return bool(sides) and all(map(_is_value, sides))


def _value_name(side: exp.Expr) -> str:
    """What tells one value from another; nothing for a `?`, which may be any."""
    while isinstance(side, exp.Cast | exp.Paren):
        side = side.this
    if isinstance(side, exp.Placeholder) and side.this is None:
        return ""
    return side.sql(dialect="postgres")
