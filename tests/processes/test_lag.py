"""The lag over real processes: the command, its page, and the writer's metrics."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gateway.app.certificates import issue_all
from gateway.app.sandbox import read_description, running_sandbox
from gateway.app.supervisor import running
from gateway.config import load_settings
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from loadtests.places import channel_to, free_port, write_config
from simulators.channel import secure_channel
from simulators.insurer import register
from simulators.people import Row

pytestmark = pytest.mark.processes
TIMEOUT_S = 60
INSURER = "06139992"


def a_notice(insurer: str) -> Row:
    """A cover whose employer filed it ten days after the fact."""
    return {
        "action": "NEW",
        "insurer_number": insurer,
        "symbol": "1",
        "number": "77",
        "birth_date": "19900101",
        "acquisition_date": "20260401",
        "name": "架空　太郎",
        "sex": "1",
        "insurer_name": "架空組合",
        "employer_code": "A-1",
        "filed_date": "20260411",
        "received_date": "20260412",
    }


async def onshi(*arguments: str) -> str:
    """What the command prints; it must exit 0."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_command_shows_a_running_sandbox_its_lag(tmp_path: Path) -> None:
    """Tables, JSON and a page tell of the one case there is."""
    root = tmp_path / "sandbox"
    async with running_sandbox(root, port=0, people=0, seed=1) as (sandbox, gateway):
        insurer = min(read_description(root)["insurers"])
        party = sandbox.party(f"insurer-{insurer}")
        async with secure_channel(gateway.address, **party) as channel:
            await register(CoverageServiceStub(channel), "a-notice", a_notice(insurer))
        page = tmp_path / "lag.html"
        where = ("lag", "report", "--dir", str(root))
        shown = await onshi(*where, "--insurer", insurer, "--html", str(page))
        said = json.loads(await onshi(*where, "--json"))
    assert "A-1" in shown
    assert "A-1" in page.read_text(encoding="utf-8")
    assert {number: report["cases"] for number, report in said.items() if report["cases"]} == {
        insurer: 1
    }
    (employer,) = said[insurer]["employers"]
    assert (employer["late_filings"], employer["latest_filing_days"]) == (1, 10)


async def test_metrics_are_off_unless_settings_name_a_port(tmp_path: Path) -> None:
    """With the port a registration is counted there; without it nobody listens."""
    issue_all(tmp_path / "certs", "1319999999", [INSURER])
    config, metrics_port = write_config(tmp_path, free_port()), free_port()
    async with running(load_settings(config), config):
        with pytest.raises(urllib.error.URLError):
            await asyncio.to_thread(metrics_of, metrics_port)
    with config.open("a", encoding="utf-8") as settings:
        settings.write(f"[metrics]\nport = {metrics_port}\n")
    async with running(load_settings(config), config) as gateway:
        async with channel_to(tmp_path, gateway.port, f"insurer-{INSURER}") as channel:
            await register(CoverageServiceStub(channel), "a-notice", a_notice(INSURER))
        shown = await asyncio.to_thread(metrics_of, metrics_port)
    assert 'onshi_lag_seconds_count{stage="filing"} 1.0' in shown
    assert 'onshi_lag_open_cases{wait="link"} 1.0' in shown
    assert not any(text in shown for text in (INSURER, "A-1", "架空"))


def metrics_of(port: int) -> str:
    """What a scraper gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()
