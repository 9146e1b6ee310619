"""How much memory a piece of work takes at most."""

import threading
from pathlib import Path


def anonymous() -> int:
    """Bytes of this process that are no file's: pages of files come and go as the system likes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


class Peak:
    """Look at it a hundred times a second; ``bytes`` is the most beyond the beginning."""

    def __enter__(self):
        self.before = self.most = anonymous()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.01):
            self.most = max(self.most, anonymous())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.bytes = max(self.most, anonymous()) - self.before
