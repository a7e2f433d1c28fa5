"""Words and hosts that everybody has: hiding them would hide nothing and wreck the text."""

from __future__ import annotations

import functools
import keyword
import re

from harness.verdict.signature import rules

# Accounts and machines that many people have under the same name, and the words of the stand-ins.
_ROLES = """
    root user users runner ubuntu debian test tester tests admin administrator guest nobody daemon docker container app
    build builder jenkins gitlab github actions ci dev devel developer service system default home work workspace
    data model models train python conda jovyan vscode codespace ec2-user opc azureuser slurm nvidia gpu cuda cpu
    host hosts hostname localhost localdomain local internal server node worker main master linux windows darwin
    harness run cache tmp scenarios path file private url secret token email address serial mac amp the and for
    with from not
"""
_PUBLIC = """
    aka.ms anaconda.org arxiv.org astral.sh git-scm.com github.com githubusercontent.com hf.co huggingface.co numpy.org
    nvidia.com pydantic.dev pypi.org python.org pythonhosted.org pytorch.org readthedocs.io readthedocs.org scipy.org
    thea.codes wikipedia.org
"""
PUBLIC = tuple(_PUBLIC.split())


@functools.cache
def ordinary_words() -> frozenset[str]:
    """Return names of roles, Python's own words and those of the signature rules, in lower case.

    A draft that lost them could not be read, and a script not run.
    """
    said = " ".join(f"{rule.name} {rule.summary}" for rule in rules()).lower()
    return frozenset(_ROLES.split()) | frozenset(keyword.kwlist) | frozenset(re.findall(r"[a-z]{3,}", said))


def is_public(host: str) -> bool:
    """Tell whether a host is one that everybody may be sent to."""
    return any(host == known or host.endswith(f".{known}") for known in PUBLIC)
