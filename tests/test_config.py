"""Settings: named limits with bounds, unknown names refused, paths relative to the file."""

from pathlib import Path

import msgspec
import pytest

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
