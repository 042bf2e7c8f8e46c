from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matinee import kernels

HERE = Path(__file__).parent
TESTS = [str(HERE / f"test_kernels_{part}.py") for part in ("items", "posterior", "select", "solve", "sparse")]
NAMES = ("avx512", "avx2", "portable")


def run(isa: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MATINEE_ISA": isa}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def available() -> str:
    return run("none", "-c", "from matinee import kernels; kernels.instruction_set()").stderr


@pytest.mark.parametrize("isa", NAMES)
def test_every_instruction_set__passes_the_same_tests(isa):
    if isa not in available():
        pytest.skip(f"this machine has no {isa}")
    if isa == kernels.instruction_set():
        pytest.skip("the tests themselves run on it")
    done = run(isa, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS)
    assert done.returncode == 0, done.stdout


def test_the_instruction_set__is_the_best_of_the_machine_or_the_one_asked_for():
    assert kernels.instruction_set() == os.environ.get(
        "MATINEE_ISA", available().split("runs ")[1].split(",")[0].strip()
    )
    assert run("portable", "-c", "from matinee import kernels; print(kernels.instruction_set())").stdout == "portable\n"


def test_an_unknown_instruction_set__is_an_error_that_lists_those_of_the_machine():
    message = available().strip().splitlines()[-1]
    assert message.startswith("matinee.errors.UsageError: MATINEE_ISA=none: this machine runs ")
    assert message.endswith("portable")
