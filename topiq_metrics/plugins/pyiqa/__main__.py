"""``python -m topiq_metrics.plugins.pyiqa``: pyiqa's own command, which then knows the metrics of our catalogue."""

import sys

from topiq_metrics._extras import import_extra

if __name__ == "__main__":
    try:
        command = import_extra("pyiqa.pyiqa_cmd", "pyiqa", "pyiqa's command needs")
    except ModuleNotFoundError as error:
        sys.exit(str(error))
    command.main()
