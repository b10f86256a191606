"""Somebody else who removes the same files."""

from __future__ import annotations

import os
from typing import Any

import pytest


def rivals_at(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let somebody else be faster the first `times` that this process unlinks a file."""
    unlink, left = os.unlink, times

    def slower(*arguments: Any, **options: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            unlink(*arguments, **options)
        unlink(*arguments, **options)

    monkeypatch.setattr(os, "unlink", slower)
