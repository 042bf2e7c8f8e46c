from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matinee import kernels

HERE = Path(__file__).parent
TESTS = [str(HERE / f"test_kernels_{part}.py") for part in ("items", "posterior", "select", "solve", "sparse")]
SAY = "from matinee import kernels; print(kernels.instruction_set())"
NAMES = ("avx512", "avx2", "neon", "portable")  # the best first


def run(isa: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MATINEE_ISA": isa}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("isa", NAMES)
def test_every_instruction_set__passes_the_same_tests(isa):
    if isa not in kernels.instruction_sets():
        pytest.skip(f"this machine has no {isa}")
    if isa == kernels.instruction_set():
        pytest.skip("the tests themselves run on it")
    done = run(isa, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS)
    assert done.returncode == 0, done.stdout


def test_the_instruction_set__is_the_best_of_the_machine_or_the_one_asked_for():
    assert kernels.instruction_set() == os.environ.get("MATINEE_ISA", kernels.instruction_sets()[0])


def test_instruction_sets__are_those_that_can_be_asked_for_the_best_first():
    names = kernels.instruction_sets()
    assert names == [name for name in NAMES if name in names]
    for name in names:
        assert run(name, "-c", SAY).stdout == f"{name}\n"


def test_an_unknown_instruction_set__is_an_error_that_lists_those_of_the_machine():
    message = run("none", "-c", SAY).stderr.strip().splitlines()[-1]
    names = ", ".join(kernels.instruction_sets())
    assert message == f"matinee.errors.UsageError: MATINEE_ISA=none: this machine runs {names}"
