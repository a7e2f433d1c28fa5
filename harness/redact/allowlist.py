"""Words and hosts that many machines share: replacing them would protect nobody and make the text unreadable."""

from __future__ import annotations

import keyword

# Accounts and machines that many people have under the same name, and the words of the placeholders.
_ROLES = """
    root user users runner ubuntu debian test tester tests admin administrator guest nobody daemon docker container app
    build builder jenkins gitlab github actions ci dev devel developer service system default home work workspace
    data model models train python conda jovyan vscode codespace ec2-user opc azureuser slurm nvidia gpu cuda cpu
    host hosts hostname localhost localdomain local internal server node worker main master linux windows darwin
    harness run cache tmp scenarios path file private url secret token email address serial mac amp the and for
    with from not
"""
_PUBLIC_HOSTS = """
    aka.ms anaconda.org arxiv.org astral.sh git-scm.com github.com githubusercontent.com hf.co huggingface.co numpy.org
    nvidia.com pydantic.dev pypi.org python.org pythonhosted.org pytorch.org readthedocs.io readthedocs.org scipy.org
    thea.codes wikipedia.org
"""
PUBLIC_HOSTS = tuple(_PUBLIC_HOSTS.split())
COMMON_WORDS = frozenset(_ROLES.split()) | frozenset(keyword.kwlist)


def is_public(host: str) -> bool:
    """Tell whether a host is well known, or a subdomain of one that is."""
    return any(host == known or host.endswith(f".{known}") for known in PUBLIC_HOSTS)
