"""The machine and the versions that figures belong to."""

import os
import platform
import shutil
import ssl
import subprocess
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("twisted", "pyopenssl", "cryptography", "klein", "treq", "jwcrypto", "attrs")


def describe(storage: str) -> dict[str, str]:
    """Facts by name; `storage` says where the files of the measurement are."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _system(),
        "storage": storage,
        "Python": platform.python_version(),
        "OpenSSL": _openssl(),
        **{name: version(name) for name in _LIBRARIES},
        "nginx": _said("nginx", "-v").rpartition("/")[2],
        "curl": _said("curl", "--version").split(" ")[1] if shutil.which("curl") else "",
    }


def load() -> float:
    """What else the machine does: the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def _openssl() -> str:
    from cryptography.hazmat.backends.openssl import backend

    return f"{backend.openssl_version_text().split()[1]} (rrsd), {ssl.OPENSSL_VERSION.split()[1]} (Python's own)"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].strip()


def mail() -> dict[str, str]:
    """The versions of the mail servers."""
    return {
        "Postfix": _said("postconf", "-d", "-h", "mail_version"),
        "Dovecot": _said("dovecot", "--version").split(" ")[0],
        "OpenDKIM": (_said("opendkim", "-V").split() or [""])[-1],
    }
