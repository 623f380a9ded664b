"""An interrupt waits for the end of a step; a second one does not."""

from __future__ import annotations

import signal
import threading

import pytest

from tensorlite.cli.interrupts import deferred_interrupts


def test_an_interrupt_waits_until_it_is_asked_for():
    before = signal.getsignal(signal.SIGINT)
    steps = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        steps.append("whole")
        check()
        steps.append("never")
    assert steps == ["whole"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_does_not_wait():
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_other_threads_get_no_interrupts():
    ends = []

    def work():
        with deferred_interrupts() as check:
            check()
            ends.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ends == ["done"]
