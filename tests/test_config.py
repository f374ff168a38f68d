"""Settings: named limits with bounds, unknown names refused, paths relative to the file."""

from pathlib import Path

import msgspec
import pytest

from gateway.app.feeding import settle_ms_of
from gateway.config import load_bridge_settings, load_settings

GATEWAY = """
data_dir = "data"
[tls]
certificate = "c.pem"
key = "/elsewhere/k.pem"
ca = "ca.pem"
"""


def written(folder: Path, text: str) -> Path:
    """A settings file."""
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file_and_absolute_ones_stay(tmp_path: Path) -> None:
    """A settings file can be moved with what it names."""
    settings = load_settings(written(tmp_path, GATEWAY))

    assert settings.data_dir == tmp_path / "data"
    assert settings.tls.key == Path("/elsewhere/k.pem")


def test_what_is_not_said_has_its_named_default(tmp_path: Path) -> None:
    """Two workers on a free loopback port, real clock."""
    settings = load_settings(written(tmp_path, GATEWAY))

    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 0, 2)
    assert not settings.is_sandbox


@pytest.mark.parametrize(
    "more",
    [
        "[limits]\nmatches_maximum = 3\n",
        "[limits]\nmatches_max = 0\n",
        "[rules]\nare_several_people_listed = 3\n",
    ],
)
def test_a_misspelt_name_or_a_value_out_of_bounds_is_refused(tmp_path: Path, more: str) -> None:
    """No setting passes in silence."""
    with pytest.raises(msgspec.ValidationError):
        load_settings(written(tmp_path, GATEWAY + more))


STORE = 'store = "postgresql://onshi@one/onshi"\n'
REPLICA = 'replica = "postgresql://onshi@two/onshi"\n'


def test_a_replica_is_off_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the file or, where that names none, by the environment."""
    assert load_settings(written(tmp_path, STORE + GATEWAY)).replica is None
    monkeypatch.setenv("ONSHI_REPLICA", "postgresql://onshi@three/onshi")
    named = load_settings(written(tmp_path, STORE + REPLICA + GATEWAY))
    assert named.replica == "postgresql://onshi@two/onshi"
    assert named.limits.replica_staleness_ms_max == 1_000
    unnamed = load_settings(written(tmp_path, STORE + GATEWAY))
    assert unnamed.replica == "postgresql://onshi@three/onshi"


def test_a_replica_of_nothing_is_refused(tmp_path: Path) -> None:
    """Files have none: the settings say so at the start."""
    with pytest.raises(msgspec.ValidationError, match="no PostgreSQL store"):
        load_settings(written(tmp_path, REPLICA + GATEWAY))


@pytest.mark.parametrize(
    ("bound_ms", "margin_ms"), [(99, 70_000), (60_001, 70_000), (2_001, 2_000)]
)
def test_a_bound_that_is_too_narrow_or_too_wide_is_refused(
    tmp_path: Path, bound_ms: int, margin_ms: int
) -> None:
    """A tenth of a second to a minute; and no token is asked again within it."""
    limits = "[limits]\nknown_time_margin_ms = {}\nreplica_staleness_ms_max = {}\n"
    text = STORE + REPLICA + GATEWAY + limits.format(margin_ms, bound_ms)
    with pytest.raises(msgspec.ValidationError, match="replica_staleness_ms_max"):
        load_settings(written(tmp_path, text))
    widest = STORE + REPLICA + GATEWAY + limits.format(60_000, 60_000)
    assert load_settings(written(tmp_path, widest)).replica is not None


def test_news_wait_for_looks_at_a_replica(tmp_path: Path) -> None:
    """A look may have missed a change for the bound longer."""
    plain = load_settings(written(tmp_path, STORE + GATEWAY))
    assert settle_ms_of(plain) == 3_000
    limits = "[limits]\nreplica_staleness_ms_max = 250\n"
    settings = load_settings(written(tmp_path, STORE + REPLICA + GATEWAY + limits))
    assert settle_ms_of(settings) == 3_250


def test_a_bridge_answers_in_the_encoding_of_the_request_unless_told(tmp_path: Path) -> None:
    """The friendliest default; a site may pin one."""
    text = (
        'gateway = "127.0.0.1:1"\ninstitution_code = "1319999999"\n'
        'req = "req"\nres = "res"\nface = "face"\nwork = "work"\n'
        '[tls]\ncertificate = "c"\nkey = "k"\nca = "a"\n'
    )
    settings = load_bridge_settings(written(tmp_path, text))

    assert settings.result_encoding == "request"
    assert settings.req == tmp_path / "req"
