"""What twistd and twist need to start rrsd: options, and a service made from them.

Nothing here imports `rrsd.app` before a service is wanted: it installs the reactor, and the plugin scan must not.
"""

import os
import sys
from typing import ClassVar, NoReturn, TextIO

from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions
from typing_extensions import override

from rrsd import __version__
from rrsd.config.ini import Misconfigured
from rrsd.config.settings import Settings, parse_settings

DEFAULT_CONFIG = "/etc/rrsd/rrsd.ini"


class Options(UsageOptions):
    """The command line of `twistd rrsd`."""

    optParameters: ClassVar[list[list[str]]] = [  # noqa: N815 (the name that Twisted looks for)
        ["config", "c", DEFAULT_CONFIG, "The INI file; `rrsctl init` writes a first one."]
    ]
    longdesc: ClassVar[str] = "Serves a mail domain: keeps what its users send, pulls what they are sent."

    def opt_version(self) -> NoReturn:
        """Print the version and end."""
        sys.stdout.write(f"rrsd {__version__}\n")
        raise SystemExit(os.EX_OK)

    @override
    def getSynopsis(self) -> str:
        """The usage line, by the name that the command was called with."""
        return "Usage: twistd [options] rrsd [--config FILE]"


def makeService(options: Options) -> IService:  # noqa: N802 (the name that twistd looks for)
    """The service tree of the domain that the INI file describes; the process ends when the file cannot be used."""
    settings = read_settings(options["config"], sys.stderr)
    from rrsd.app.tree import make_service

    return make_service(settings)


def read_settings(path: str, complaints: TextIO) -> Settings:
    """The settings in the file, or the end of the process after one line for each thing that is wrong."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse_settings(file.read())
    except OSError as error:
        advice = "name another file with --config, or make one: rrsctl init"
        complaints.write(f"rrsd: cannot read {path}: {error.strerror}; {advice}\n")
    except UnicodeDecodeError:
        complaints.write(f"rrsd: {path} is not UTF-8 text; save it as UTF-8\n")
    except Misconfigured as misconfigured:
        complaints.writelines(f"{path}: {error}\n" for error in misconfigured.errors)
    raise SystemExit(os.EX_CONFIG)
