import threading

import pytest
import torch

from irvis_fusion_ros.networks.swift import Swift, SwiftConfig
from irvis_fusion_ros.networks.threads import Alone, divides, halves


@pytest.fixture
def alone():
    """An `Alone` of a torch that has two threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield Alone()
    torch.set_num_threads(before)


def where(_=None) -> tuple[str, int]:
    return threading.current_thread().name, torch.get_num_threads()


def test_torch_divides_nothing_in_its_threads_and_goes_on_dividing_elsewhere(alone):
    here, threads = where()
    found = alone(lambda: halves(where, (1, 2)))
    assert [count for _, count in found] == [1, 1]
    assert len({here, *(name for name, _ in found)}) == 3
    assert where() == (here, threads)
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [threads]


def test_both_halves_run_as_where_they_are_called(alone):
    def seen(x: torch.Tensor) -> tuple:
        return (x @ x).dtype, torch.is_inference_mode_enabled()

    @torch.inference_mode()
    def called() -> list:
        with torch.autocast('cpu', torch.bfloat16):
            return halves(seen, [torch.ones(2, 2)] * 2)

    assert alone(called) == [(torch.bfloat16, True)] * 2


def test_without_it_halves_are_done_one_after_the_other(alone):
    assert alone(divides) and not divides()
    assert halves(where, (1, 2)) == [where()] * 2


def test_where_torch_has_one_thread_it_has_no_others():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert Alone()(where) == where()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize('wrong', [1, 2])
def test_an_error_of_either_half_is_raised(alone, wrong):
    def fail(x: int) -> None:
        if x == wrong:
            raise ValueError('half')

    with pytest.raises(ValueError, match='half'):
        alone(lambda: halves(fail, (1, 2)))


def test_a_network_finds_the_same_by_halves(alone):
    torch.manual_seed(0)
    network = Swift(SwiftConfig(width=8, described=12, match=8)).proposing().eval()
    images = torch.rand(2, 1, 1, 96, 128)

    @torch.inference_mode()
    def found() -> tuple:
        described = network.descriptions(*images)
        compared = network.compare(*described)
        return *described[0], *described[1], compared.search, compared.affine

    for whole, by_halves in zip(found(), alone(found), strict=True):
        assert torch.allclose(whole, by_halves, rtol=1e-3, atol=1e-3)
