"""An ARM64 Python from Debian's packages, and wheels for it, fetched by this machine's apt and pip.

Both verify what they fetch: apt against the distribution's key, pip against the index's hashes.
Nothing of the system is touched: apt works with a state of its own, and needs no root.
"""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zipfile import ZipFile

from compress.errors import EmulatorMissingError

ROOT_VARIABLE = "COMPRESS_AARCH64_ROOT"
# What numpy and onnxruntime load; apt adds what these need. 15 MB to fetch, 75 MB unpacked.
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_OTHERWISE = (
    f"or set {ROOT_VARIABLE} to a folder with an ARM64 system that has Python, numpy and "
    "onnxruntime, such as an exported container"
)
# The oldest glibc of any aarch64 wheel is 2.17.
_OLDEST_GLIBC = 17
_APT = """\
#clear APT::Architectures;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/archives";
Dir::Log "{folder}/log";
"""
# Ubuntu keeps its packages for ARM on servers of their own.
_UBUNTU = """\
Types: deb
URIs: http://ports.ubuntu.com/ubuntu-ports
Suites: {codename} {codename}-updates {codename}-security
Components: main universe
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""


def distribution() -> str:
    """Whose packages are fetched, as `debian-bookworm`: those that apt here is set up for.

    Raises:
        EmulatorMissingError: this is neither Debian nor made from it.
    """
    if not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
        raise EmulatorMissingError(
            "emulating ARM needs an ARM64 Python: expected apt-get and dpkg-deb to fetch it with, "
            f"found none; use a Debian or Ubuntu machine or container, {_OTHERWISE}"
        )
    said = platform.freedesktop_os_release()
    if "UBUNTU_CODENAME" in said:
        return f"ubuntu-{said['UBUNTU_CODENAME']}"
    return f"debian-{said.get('VERSION_CODENAME', 'unknown')}"


def fetch_python(source: str, folder: Path, root: Path) -> None:
    """Unpack an ARM64 Python with all that it needs.

    Args:
        source: as `distribution` names it.
        folder: empty, for apt.
        root: of the system that is made.

    Raises:
        EmulatorMissingError: apt could not fetch it.
    """
    for name in ("lists/partial", "cache", "archives/partial", "log"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    settings = _APT.format(folder=folder)
    distributor, _, codename = source.partition("-")
    if distributor == "ubuntu":
        (folder / "ports.sources").write_text(_UBUNTU.format(codename=codename))
        settings += f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{folder}";\n'
    configuration = folder / "apt.conf"
    configuration.write_text(settings)
    apt = ["apt-get", "-qq", "-c", str(configuration)]
    # Some of the machine's sources may have nothing for ARM; what counts is the next step.
    warnings = _run([*apt, "update"]).stderr
    fetched = _run(
        [*apt, "install", "--yes", "--no-install-recommends", "--download-only", *PACKAGES]
    )
    _check(fetched, "an ARM64 Python from apt-get", warnings)
    for package in sorted((folder / "archives").glob("*.deb")):
        _check(_run(["dpkg-deb", "-x", str(package), str(root)]), f"to unpack {package.name}")
    for link in _links_out(root):
        link.unlink()


def _links_out(root: Path) -> Iterator[Path]:
    """Links that lead to this machine's own files; the guest follows them there."""
    for path in root.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            yield path


def glibc_of(root: Path | None) -> int:
    """The minor version of a system's C library, None for this one: which wheels it can load."""
    library = next(root.glob("**/libc.so.6"), None) if root else None
    version = platform.libc_ver(str(library) if library else None)[1]
    return int(version.split(".")[1]) if version else _OLDEST_GLIBC


def fetch_wheels(
    wanted: Sequence[str], python: tuple[int, int], platforms: Sequence[str], folder: Path
) -> None:
    """Unpack wheels, without what they in turn depend on.

    Args:
        wanted: requirements, as `onnxruntime==1.32.0`.
        python: the version that loads them.
        platforms: tags that it can load, as `manylinux_2_28_aarch64`.
        folder: what is unpacked there can be imported from there.

    Raises:
        EmulatorMissingError: pip could not fetch them.
    """
    tag = f"cp{python[0]}{python[1]}"
    options = {
        "--python-version": ".".join(map(str, python)),
        "--implementation": "cp",
        "--abi": tag,
        "--only-binary": ":all:",
        "--dest": str(folder / "wheels"),
    }
    command = [*_pip(), "download", "--quiet", "--no-deps", "--no-input"]
    command += [word for option in options.items() for word in option]
    command += [word for name in platforms for word in ("--platform", name)]
    what = f"{' and '.join(wanted)} for Python {python[0]}.{python[1]} on {platforms[0]} from pip"
    fetched = _run([*command, *wanted])
    _check(fetched, what, remedy="name another version (emulate:CORE?onnxruntime=VERSION), ")
    for wheel in sorted((folder / "wheels").glob("*.whl")):
        with ZipFile(wheel) as archive:
            archive.extractall(folder)  # never leaves the folder, whatever the names in it
    shutil.rmtree(folder / "wheels")


def _pip() -> list[str]:
    # Asked by its metadata: whoever looks for the module pip switches setuptools' distutils off
    # in this process, and torch.compile fails later.
    try:
        version("pip")
    except PackageNotFoundError:
        return _pip_of_another()
    return [sys.executable, "-m", "pip"]


def _pip_of_another() -> list[str]:
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        raise EmulatorMissingError(
            "emulation needs wheels for the core's Python: expected pip, found none; "
            f"install it (python -m ensurepip), {_OTHERWISE}"
        )
    return [found]


def platforms(architecture: str, glibc: int) -> list[str]:
    """The wheel tags that a system with that glibc can load, the newest first."""
    return [
        f"manylinux_2_{minor}_{architecture}" for minor in range(glibc, _OLDEST_GLIBC - 1, -1)
    ] + [f"manylinux2014_{architecture}"]


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def _check(
    done: "subprocess.CompletedProcess[str]", what: str, warnings: str = "", remedy: str = ""
) -> None:
    """Raise the first of the warnings, or the last words, of what has failed."""
    if done.returncode == 0:
        return
    lines = [*warnings.splitlines()[:1], *reversed((done.stdout + done.stderr).splitlines())]
    said = next((line for line in lines if line.strip()), f"status {done.returncode}")
    words = " ".join(re.sub(r"^(ERROR|E|W):", "", said).split()).rstrip(".")
    raise EmulatorMissingError(
        f"emulating a core: expected {what}, and it failed ({words}); connect to the network, "
        f"{remedy}{_OTHERWISE}"
    )
