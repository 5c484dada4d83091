"""The limit of open files follows the number of connections."""

import resource
from collections.abc import Iterator

import pytest

from monitor.adapters.descriptors import allow_descriptors


@pytest.fixture
def hard() -> Iterator[int]:
    """The most this process may allow itself; the limit is put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_limit_is_raised_as_far_as_wanted_and_never_lowered(hard: int) -> None:
    """What is enough stays; what is too little grows to what is asked for."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert (allow_descriptors(512), soft()) == (512, 512)
    assert (allow_descriptors(300), soft()) == (300, 512)


def test_limit_of_the_system_is_the_most_there_is(hard: int) -> None:
    """More than the system allows is not an error: the caller says so."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    if hard != resource.RLIM_INFINITY:
        assert allow_descriptors(hard + 1) == soft() == hard
