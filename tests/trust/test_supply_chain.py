"""What comes with mixvi: licenses, and the time that importing it takes."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest

# Permissive, or copyleft of a library only (LGPL, MPL).
KNOWN = re.compile(
    r"BSD|MIT|Apache|PSF|Python Software|ISC|MPL|Mozilla|Zlib|Unlicense|0BSD|HPND|CC0|LGPL|"
    r"Lesser General|public domain|Boost|NVIDIA|Intel",
    re.IGNORECASE,
)
COPYLEFT = {"igraph", "leidenalg"}  # GPL, as scanpy's own clustering has them
UNSAID = {"cuda-toolkit"}  # a list of NVIDIA's packages, which have theirs; PyTorch's for GPUs


def requirements(name, seen):
    """Every distribution that installing mixvi brings, extras aside."""
    if name in seen:
        return seen
    try:
        found = distribution(name)
    except PackageNotFoundError:  # of another platform
        return seen
    seen[name] = found
    for line in found.requires or []:
        requirement, _, condition = line.partition(";")
        if "extra" not in condition:
            requirements(re.split(r"[\s\[<>=!~(]", requirement, maxsplit=1)[0].lower(), seen)
    return seen


def license_of(found):
    """All that a distribution says about its license."""
    named = [
        found.metadata.get("License-Expression") or "",
        (found.metadata.get("License") or "")[:200],
        *(
            line
            for line in found.metadata.get_all("Classifier") or []
            if line.startswith("License ::")
        ),
    ]
    for file in found.files or []:
        if re.search(r"(LICEN[CS]E|COPYING)[^/]*$", str(file), re.IGNORECASE):
            path = found.locate_file(file)
            if path.is_file():
                named.append(path.read_text(errors="replace")[:400])
    return "\n".join(named)


@pytest.mark.contract
def test_licenses_are_known():
    everything = requirements("mixvi", {})
    assert len(everything) > 50
    unknown = {
        name: license_of(found)[:100]
        for name, found in everything.items()
        if name not in COPYLEFT | UNSAID and not KNOWN.search(license_of(found))
    }
    assert not unknown
    strict = {
        name
        for name, found in everything.items()
        if re.search(r"(?<!L)GPL|(?<!Lesser )General Public", license_of(found)[:300])
        and not re.search(r"LGPL|Lesser", license_of(found))
    }
    assert strict <= COPYLEFT


IMPORTS = """
import time
import scvi
base = time.process_time()
import mixvi
print(base, time.process_time())
"""


def seconds():
    """Processor time of importing scvi-tools and then mixvi, compiled before as installed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, env=environment
    )
    return [float(found) for found in done.stdout.split()[-2:]]


@pytest.mark.slow
def test_importing_takes_no_longer_than_scvi_tools():
    """What mixvi adds, measured in the process that loaded scvi-tools.

    Between two processes the noise of the whole import is larger than the share allowed; here only
    that of the addition counts.
    """
    ratios = [after / base for base, after in (seconds() for _ in range(5))]
    assert sorted(ratios)[2] <= 1.05
