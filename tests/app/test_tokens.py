"""Keys of tokens in a file all workers share, and the book of rules."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.app.keys import key_status, retire_keys, rotate_keys
from gateway.app.layout import DataDir
from gateway.app.tokens import FileTokenKeys, note_rules, rules_once, tokens_of
from gateway.config import Rules as RuleSettings
from gateway.config import Settings, Tls
from gateway.domain.answer_token import rules_tag
from gateway.domain.eligibility import ByNumber, Rules
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InsuredId
from gateway.domain.period import Instant, parse_day
from gateway.store.keyring import load_keyring, rotate

AT = Instant(1_776_211_200_123_456)
QUERY = ByNumber.of(
    InsuredId.parse("06139992", "1", "2", ""), parse_day("19800401"), parse_day("20260415")
)


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    """A data directory with all key files."""
    made = DataDir(tmp_path / "data")
    made.make()
    for path in (made.vault_keys, made.spool_keys, made.token_keys):
        load_keyring(path, may_make=True)
    return made


def settings(data: DataDir, **rules: bool) -> Settings:
    """A gateway's settings, with some rules changed."""
    nowhere = Path("nowhere.pem")
    return Settings(
        data_dir=data.root, tls=Tls(nowhere, nowhere, nowhere), rules=RuleSettings(**rules)
    )


def test_workers_believe_each_others_tokens_over_a_rotation(data: DataDir) -> None:
    """A worker that meets a key it does not know yet looks into the file before it refuses."""
    one, other = (tokens_of(settings(data), FileTokenKeys(data.token_keys)) for _ in range(2))
    before = one.of(QUERY, AT)
    assert other.as_of(before, None).known == AT
    rotate(data.token_keys)
    assert isinstance(one.keys, FileTokenKeys)
    one.keys.refresh()
    after = one.of(QUERY, AT)
    assert before != after
    for token in (before, after):
        assert other.as_of(token, None).known == AT


def test_a_token_of_another_gateway_is_refused(data: DataDir, tmp_path: Path) -> None:
    """Its key has the same number and another secret."""
    load_keyring(tmp_path / "other.json", may_make=True)
    other = tokens_of(settings(data), FileTokenKeys(tmp_path / "other.json"))
    ours = tokens_of(settings(data), FileTokenKeys(data.token_keys))
    with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
        ours.as_of(other.of(QUERY, AT), None)


def test_a_key_file_that_cannot_be_read_changes_nothing(data: DataDir) -> None:
    """The worker goes on with the keys it has, and takes the file again once it is whole."""
    keys = FileTokenKeys(data.token_keys)
    current, content = keys.current, data.token_keys.read_bytes()
    for broken in (b"", b"{}", b'{"secrets": []}', b'{"secrets": [{"key_id": "0", "secret": ""}]}'):
        data.token_keys.write_bytes(broken)
        keys.refresh()
        assert current == keys.current
    data.token_keys.unlink()
    keys.refresh()
    assert current == keys.of(current.key_id)
    data.token_keys.write_bytes(content)
    data.token_keys.chmod(0o600)
    rotate(data.token_keys)
    keys.refresh()
    assert current.key_id + 1 == keys.current.key_id


def test_keys_of_tokens_are_rotated_and_never_retired(data: DataDir) -> None:
    """A token is good for ever, so `onshi keys retire` leaves the keys that read it."""
    before = FileTokenKeys(data.token_keys).current
    *_, status = rotate_keys(data.root)
    assert (status.name, status.current, status.older) == ("token", "2", ("1",))
    statuses, is_done = retire_keys(data.root)
    assert is_done
    assert [one.older for one in statuses] == [(), (), ("1",)]
    assert before == FileTokenKeys(data.token_keys).of(1)


def test_a_directory_of_before_tokens_rotates_too(data: DataDir) -> None:
    """The next start makes their key."""
    data.token_keys.unlink()
    rotate_keys(data.root)
    assert [one.name for one in key_status(data.root)] == ["vault", "spool"]


def test_rules_once_in_force_are_known_by_their_tags(data: DataDir) -> None:
    """Each set is noted once; what the settings say again is not noted again."""
    assert rules_once(data.rules) == {}
    for is_listed in (True, False, True):
        note_rules(settings(data, are_several_people_listed=is_listed))
    known = rules_once(data.rules)
    both = (Rules(), Rules(are_several_people_listed=False))
    assert {rules_tag(rules): rules for rules in both} == known


def test_rules_nobody_here_can_decide_by_are_unknown(data: DataDir) -> None:
    """Of another version of the decision, or with points this gateway does not know."""
    note_rules(settings(data))
    book = msgspec.json.decode(data.rules.read_bytes())
    (said,) = book.values()
    others = {"aa" * 8: said | {"version": "1999-12"}, "bb" * 8: said | {"version": 7}}
    data.rules.write_bytes(msgspec.json.encode(book | others))
    assert {rules_tag(Rules())} == set(rules_once(data.rules))
    note_rules(settings(data, is_unnumbered_found_by_card=True))
    assert others.items() <= msgspec.json.decode(data.rules.read_bytes()).items()
