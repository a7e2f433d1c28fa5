"""Interpreters and bases."""

import pytest
from packaging.requirements import Requirement

from harness.envs.interpreters import find_interpreter, is_version, unmet_requirements
from harness.errors import ConfigError
from harness.matrix.base import BaseInterpreter, BasePackage, InterpreterMissing


def package(name, version, *requires):
    return BasePackage(name, version, tuple(Requirement(text) for text in requires))


def base_of(*packages):
    return BaseInterpreter("/base/python", "3.11.7", {one.name: one for one in packages})


def test_a_layer_is_a_package_and_all_it_needs():
    packages = [package("torch", "2.11.0+cu130", "sympy>=1"), package("sympy", "1.13", "mpmath"), package("pip", "25")]
    base = base_of(*packages)
    assert base.layer(["torch"]) == {"sympy": "1.13", "torch": "2.11.0+cu130"}
    with pytest.raises(ConfigError, match="numpy"):
        base.layer(["numpy"])


def test_a_base_that_is_too_old_is_named():
    child = base_of(package("user", "1", "torch>=2.11", "six"))
    assert unmet_requirements(child, {"torch": "2.11.0+cu130"}) == []
    assert unmet_requirements(child, {"torch": "2.10.0"}) == ["user needs torch>=2.11, the base has 2.10.0"]


def test_versions_of_python_are_compared_by_their_parts():
    assert is_version("3.11.7", "3.11")
    assert is_version("3.11.7", "3.11.7")
    assert not is_version("3.11.7", "3.1")
    assert not is_version("3.11.17", "3.11.1")


def test_a_missing_interpreter_is_an_error_with_the_way_out():
    with pytest.raises(InterpreterMissing, match=r"uv python install 3\.99"):
        find_interpreter("3.99")
    with pytest.raises(InterpreterMissing, match="does not start"):
        find_interpreter("3.11", "/no/such/python")
