"""A thread that waits for work until it is stopped."""

import threading


class Background:
    """
    What has a thread of its own: `_run` is what the thread does, until `_stop` is set.

    It waits on `_wake`, which also guards what it shares with others.
    """

    def __init__(self, name: str):
        self._name = name
        self._wake = threading.Condition()
        self._stop = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._stop = False
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """End the thread after what it is at; returns whether it had been started."""
        if self._thread is None:
            return False
        with self._wake:
            self._stop = True
            self._wake.notify()
        self._thread.join()
        self._thread = None
        return True

    def _run(self) -> None:
        raise NotImplementedError
