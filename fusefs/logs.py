"""Where the log of a mount goes.

Used by: fusefs.session. Knows nothing of: what is logged.
"""

import logging
import logging.handlers
import os
from typing import Final

_SYSLOG: Final = "/dev/log"
_FORMAT: Final = "storagefs[%(process)d]: %(message)s"
_DATED: Final = "%(asctime)s storagefs[%(process)d] %(levelname)s: %(message)s"


def configure(path: str, *, foreground: bool, debug: bool) -> None:
    """Send the log to the file *path*, else to standard error (foreground), else to syslog."""
    log = logging.getLogger("storagefs")
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    handler: logging.Handler = logging.NullHandler()
    if path:
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter(_DATED))
    elif foreground:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
    elif os.path.exists(_SYSLOG):
        handler = logging.handlers.SysLogHandler(_SYSLOG, logging.handlers.SysLogHandler.LOG_DAEMON)
        handler.setFormatter(logging.Formatter(_FORMAT))
    log.handlers = [handler]
    log.propagate = False
    logging.getLogger("pyfuse3").handlers = [handler]
