"""An insurer's file: received whole or not at all, applied once, whatever comes between."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import Conflict, InvalidInput, NotFound, NotPermitted, Refusal, TooMuch
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.purpose import Role
from gateway.formats.coverage_csv import decode_cells
from gateway.store.port import RefusedLine, UploadState
from gateway.usecases.apply_uploads import next_slice_lines
from gateway.usecases.register_coverage import register
from gateway.usecases.upload_coverage import report_of, upload_key_of
from tests.usecases.registration import (
    INSURER,
    LIMITS,
    NUMBERS,
    OTHER_INSURER,
    CrashError,
    Stand,
    a_file,
    caller,
    new,
    said,
    who,
)
