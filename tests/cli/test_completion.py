"""The completion scripts, in the shells themselves."""

import os
import shutil
import subprocess

import pytest

from harness.cli.completion import SHELLS, completion_script
from harness.cli.main import VERBS, main

# .ci/run installs all of them; elsewhere those that are there.
INSTALLED = [shell for shell in SHELLS if os.environ.get("CI") or shell == "bash" or shutil.which(shell)]
# What prints the offers of a shell, one a line: its arguments are the script and the command that is typed.
OFFER = {
    "bash": """\
source "$1"
IFS=' ' read -ra COMP_WORDS <<< "$2"
[[ "$2" == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_harness
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "fish": "source $argv[1]; complete -C $argv[2] | cut -f 1",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Return the file of each script."""
    files = {shell: tmp_path_factory.mktemp("scripts") / f"harness.{shell}" for shell in SHELLS}
    for shell, file in files.items():
        file.write_text(completion_script(shell))
    return files


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_every_verb(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [verb for verb in VERBS if verb not in script] == []


@pytest.mark.parametrize("shell", INSTALLED)
def test_the_shell_reads_its_script(shell, scripts):
    done = subprocess.run([shell, "-n", str(scripts[shell])], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", [shell for shell in INSTALLED if shell in OFFER])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("harness bl", {"blame"}),
        ("harness re", {"report", "repro"}),
        ("harness run --control", {"--control-last"}),
        ("harness run --isolation s", {"spawn"}),
        ("harness run quick", {"quickstart"}),
        ("harness run own", {"own.toml"}),
        ("harness run --reports re", {"reports"}),
        ("harness baseline ", {"set", "show", "accept"}),
        ("harness baseline set --rea", {"--reason"}),
        ("harness report 2026", {"20260301T020000Z-nightly-abc001"}),
        ("harness compare la", {"latest"}),
        ("harness completion f", {"fish"}),
    ],
)
def test_the_shell_offers_what_fits(shell, typed, offered, scripts, tmp_path):
    (tmp_path / "reports" / "20260301T020000Z-nightly-abc001").mkdir(parents=True)
    (tmp_path / "own.toml").touch()
    name = [shell] if shell == "bash" else []  # $0
    command = [shell, "-c", OFFER[shell], *name, str(scripts[shell]), typed]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {line.rstrip("/") for line in done.stdout.split()} == offered
